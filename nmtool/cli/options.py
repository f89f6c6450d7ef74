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
CustomOps = Annotated[
    list[Path] | None,
    Option("--custom-ops", metavar="FILE", help="Your own operator library for ONNX Runtime; repeatable"),
]
Device = Annotated[Literal["cpu", "cuda"] | None, Option(help="Where the backend torch runs", show_default="cpu")]
Scale = Annotated[float, Option(metavar="X", help="Factor on every standard deviation; 0 is the clean model")]


def backend_options(custom_ops: list[Path] | None, device: str | None) -> dict[str, Any]:
    """Options for a backend: only those that are given, since few backends take them."""
    given = {"custom_ops": custom_ops, "device": device}
    return {name: value for name, value in given.items() if value}
