"""Options that several commands share, so that each is described once."""

import functools
from pathlib import Path
from typing import Annotated

import typer

Option = functools.partial(typer.Option, show_envvar=False)  # the variables follow a rule: docs/config.md

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="ONNX file", show_default=False)]
Output = Annotated[Path, Option("--output", "-o", metavar="FILE", help="ONNX file to write", show_default=False)]
Force = Annotated[bool, Option("--force", help="Overwrite output files that exist")]
Trial = Annotated[int, Option("--trial", "-t", metavar="N", help="Which noise sample; the same trial, the same noise")]
Scale = Annotated[float, Option(metavar="X", help="Factor on every standard deviation; 0 is the clean model")]
