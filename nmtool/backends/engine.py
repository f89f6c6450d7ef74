"""What an engine that compiles whole models must offer; `CompiledRunner` makes the rest of a backend of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from nmtool.backends.runner import Array

Compute: TypeAlias = Callable[[Sequence[str], Mapping[str, Array]], Sequence[Array]]
"""A compiled model: the named outputs, for arrays for all inputs."""


def first_line(error: Exception) -> str:
    """What an engine says first about a failure."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@dataclass(frozen=True)
class Engine:
    """An engine.

    Attributes:
        name: its name and version.
        build: compiles a model whose inputs are all required; it may change the model, and may raise anything.
        by_shape: whether what it builds is for one shape of each input; these are then set in the model.
        noise: whether it may be asked for noise at all.
        reason: the part of an exception of the engine that tells a user something.
    """

    name: str
    build: Callable[[ir.Model], Compute]
    by_shape: bool = False
    noise: bool = True
    reason: Callable[[Exception], str] = first_line


def inline_functions(model: ir.Model) -> None:
    """Replace the calls of model-local functions by their bodies: noise then consists of standard operators."""
    InlinePass()(model)
    model.functions.clear()
