"""How samples are read and prepared."""

import math
from dataclasses import dataclass
from typing import Literal

from nmtool.errors import UsageError

Layout = Literal["auto", "nchw", "nhwc"]


@dataclass(frozen=True)
class DataOptions:
    """Options of a data set, the same for every kind of source.

    Floating inputs become `(x * scale - mean) / std`; with the defaults they are only converted to the model's type.

    Attributes:
        labels: name of the array of labels; None: the first there is of "labels", "label" and "y".
        layout: axis order of the arrays of images in the source. They are transposed where the model has the other
            order; "auto" transposes only where the shapes do not fit otherwise. An image folder is always "nhwc".
        scale: factor, for instance 1/255.
        mean: one number, or one per channel; in units after `scale`.
        std: one number, or one per channel; in units after `scale`.
        resize: height and width in pixels of images from a folder; None: the size the model asks for.
        limit: use only this many samples from the start.
        batch_size: samples per run; a model with a fixed batch dimension runs with that one instead.
    """

    labels: str | None = None
    layout: Layout = "auto"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: tuple[int, int] | None = None
    limit: int | None = None
    batch_size: int = 64

    def __post_init__(self) -> None:
        """Refuse values that cannot be meant.

        Raises:
            UsageError: a count below one, or a number that is not finite or cannot divide.
        """
        for name, count in (("limit", self.limit), ("batch_size", self.batch_size)):
            if count is not None and count < 1:
                raise UsageError(f"{name} must be at least 1, not {count}")
        if self.resize is not None and min(self.resize) < 1:
            raise UsageError(f"resize must be a height and a width of at least 1 pixel, not {self.resize}")
        if self.layout not in ("auto", "nchw", "nhwc"):
            raise UsageError(f"layout must be auto, nchw or nhwc, not {self.layout!r}")
        for name, numbers in (("scale", (self.scale,)), ("mean", self.mean), ("std", self.std)):
            if not numbers or not all(map(math.isfinite, numbers)) or (name == "std" and min(numbers) <= 0):
                raise UsageError(f"{name} must be {'positive' if name == 'std' else 'finite'}, not {numbers}")

    @property
    def rescales(self) -> bool:
        """Whether the values change, beyond their type."""
        return self.scale != 1.0 or any(self.mean) or any(std != 1.0 for std in self.std)
