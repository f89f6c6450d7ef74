"""Options that several commands share, so that each is described once."""

import functools
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Option = functools.partial(typer.Option, show_envvar=False)  # the variables follow a rule: docs/config.md

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="ONNX file", show_default=False)]
Output = Annotated[Path, Option("--output", "-o", metavar="FILE", help="ONNX file to write", show_default=False)]
Force = Annotated[bool, Option("--force", help="Overwrite output files that exist")]
Trial = Annotated[int, Option("--trial", "-t", metavar="N", help="Which noise sample; the same trial, the same noise")]
Run = Annotated[int, Option("--run", metavar="N", help="Which sample of what devices draw at every run")]
Time = Annotated[
    str | None,
    Option(
        metavar="TIME", help="Time since programming, as 1h or 30d, where devices drift", show_default="the model's"
    ),
]
CustomOps = Annotated[
    list[Path] | None,
    Option("--custom-ops", metavar="FILE", help="Your own operator library for ONNX Runtime; repeatable"),
]
Scale = Annotated[float, Option(metavar="X", help="Factor on every standard deviation; 0 is the clean model")]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], Option(help="Where ONNX Runtime works; auto is CUDA where it is available")
]

Sampling = Annotated[
    Literal["weights", "outputs", "auto"],
    Option(
        help="What noise is drawn for: each weight, or outputs where possible, or where cheaper (docs/performance.md)"
    ),
]


def backend_options(custom_ops: list[Path] | None, device: str, sampling: str = "weights") -> dict[str, Any]:
    """Options for a backend: only those that are given, since few backends take them."""
    given = {
        "custom_ops": custom_ops or None,
        "device": None if device == "auto" else device,
        "sampling": None if sampling == "weights" else sampling,
    }
    return {name: value for name, value in given.items() if value is not None}
