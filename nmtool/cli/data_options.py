"""The options of the commands that read data; a configuration file sets them in [data]."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from nmtool.cli import config
from nmtool.cli.options import Option
from nmtool.errors import UsageError

if TYPE_CHECKING:
    from nmtool.data import DataOptions

DataOption = functools.partial(Option, rich_help_panel=config.DATA)


Labels = Annotated[
    str | None, DataOption(metavar="NAME", show_default="labels, label or y", help="Name of the array of labels")
]


def complete_path(incomplete: str) -> list[str]:
    """Files and folders that start like this, for an option that takes a path or something else."""
    folder = Path(incomplete if incomplete.endswith("/") else Path(incomplete).parent)
    paths = [path.as_posix() + "/" * path.is_dir() for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(path for path in paths if path.startswith(incomplete.removeprefix("./")))


_SOURCE = DataOption(
    "--data",
    "-i",
    metavar="SOURCE",
    show_default=False,
    autocompletion=complete_path,
    help=".npz or .npy file (arrays named like the model's inputs), folder of images, or module:function",
)


@dataclass(frozen=True)
class Preparation:
    """How data is prepared for the model."""

    layout: Annotated[Literal["auto", "nchw", "nhwc"], DataOption(help="Axis order of the images in the data")] = "auto"
    data_scale: Annotated[
        float, DataOption(metavar="X", help="Inputs become (x * scale - mean) / std; 0.00392157 is 1/255")
    ] = 1.0
    data_mean: Annotated[str, DataOption(metavar="X[,X...]", help="One number, or one per channel")] = "0"
    data_std: Annotated[str, DataOption(metavar="X[,X...]", help="One number, or one per channel")] = "1"
    resize: Annotated[
        str | None,
        DataOption(metavar="HxW", show_default="the model's", help="Size of images from a folder, in pixels"),
    ] = None
    limit: Annotated[
        int | None, DataOption("--limit", "-n", metavar="N", show_default="all", help="Use only the first N samples")
    ] = None
    batch_size: Annotated[
        int | None,
        DataOption(
            metavar="N", show_default="64; distill: the recipe's", help="Samples per inference or training step"
        ),
    ] = None

    def options(self, labels: str | None = None) -> "DataOptions":
        """The same as the Python API takes it.

        Raises:
            UsageError: an option is not of its form or out of range.
        """
        from nmtool.data import DataOptions

        return DataOptions(
            labels=labels,
            layout=self.layout,
            scale=self.data_scale,
            mean=numbers("--data-mean", self.data_mean),
            std=numbers("--data-std", self.data_std),
            resize=_size(self.resize) if self.resize else None,
            limit=self.limit,
            **({} if self.batch_size is None else {"batch_size": self.batch_size}),
        )


@dataclass(frozen=True, kw_only=True)
class DataSource(Preparation):
    """Which data, and how it is prepared."""

    data: Annotated[str, _SOURCE]


@dataclass(frozen=True, kw_only=True)
class OptionalData(Preparation):
    """The same, for a command that works without data too."""

    data: Annotated[str | None, _SOURCE] = None


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Numbers separated by commas.

    Raises:
        UsageError: it has something else.
    """
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"{option} takes numbers separated by commas, not: {text}") from None


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(word) for word in text.lower().split("x"))
    except ValueError:
        raise UsageError(f"--resize takes HEIGHTxWIDTH in pixels, such as 224x224, not: {text}") from None
    return height, width
