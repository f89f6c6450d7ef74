"""Training in torch: conversion of ONNX models to torch modules. The only sub-package that imports torch."""

from typing import TYPE_CHECKING, Any

from nmtool.errors import SetupError

if TYPE_CHECKING:
    from torch import fx

    from nmtool.model import ModelSource

# Modules that import torch, by the public names they hold; imported on first use, so that nmtool works without torch.
_HOME = {
    "Tap": "nmtool.interpreter.modules",
    "register_op": "nmtool.interpreter.registry",
    "taps": "nmtool.interpreter.modules",
}

__all__ = ["Tap", "register_op", "taps", "to_torch"]


def to_torch(model: "ModelSource") -> "fx.GraphModule":
    """Convert an ONNX model to a trainable torch module.

    The module is called with the model's inputs in order, without those that have defaults, and returns its output, or
    a tuple of them. `module.meta["nmtool.names"]` maps the name of each initializer, and of each Constant node's
    output, to the path of its parameter or buffer. Weights of analog operators pass a `Tap` each: noise may enter
    there.

    Args:
        model: a file, a ModelProto or an ir.Model; it is not changed.

    Raises:
        ModelError: the model cannot be read, or has nodes that cannot be converted: all of them are named.
        SetupError: torch is not installed.
    """
    require_torch()
    from nmtool.interpreter.convert import convert

    return convert(model)


def require_torch() -> None:
    """Refuse to go on without torch.

    Raises:
        SetupError: torch is not installed.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise SetupError("torch is not installed", hint="pip install 'nmtool[torch]'") from error


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'nmtool.interpreter' has no attribute {name!r}")
