"""nmtool's own interpreter in torch: what training sees of a model."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import onnx_ir as ir

from nmtool.backends.compiled import CompiledRunner
from nmtool.backends.engine import Compute, Engine
from nmtool.backends.runner import Array
from nmtool.errors import SetupError, UsageError
from nmtool.interpreter import require_torch, to_torch
from nmtool.model import ModelSource


def version() -> str:
    """Name and version.

    Raises:
        SetupError: torch is not installed.
    """
    try:
        return f"torch {importlib.metadata.version('torch')}"
    except importlib.metadata.PackageNotFoundError as error:
        raise SetupError("torch is not installed", hint="pip install 'nmtool[torch]'") from error


def load(model: ModelSource, *, device: Literal["cpu", "cuda"] = "cpu") -> CompiledRunner:
    """Load a model; its noise is that of the specification at every opset.

    Args:
        model: the model.
        device: where it runs; on a GPU products have the full precision of float32, not that of TF32.

    Raises:
        ModelError: the model has nodes that cannot be converted.
        SetupError: torch is not installed, or finds no such device.
        UsageError: an unknown device.
    """
    require_torch()
    import torch

    if device not in ("cpu", "cuda"):
        raise UsageError(f"device must be cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise SetupError("torch finds no cuda device", hint="install a CUDA build of torch, or use the device cpu")
    return CompiledRunner(model, Engine(version(), partial(_build, device=device)))


def _build(model: ir.Model, device: str) -> Compute:
    import torch

    names = [output.name for output in model.graph.outputs]
    inputs = [value.name or "" for value in model.graph.inputs]
    module = to_torch(model).eval().to(device)

    def compute(outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
            results = module(*(torch.tensor(feeds[name], device=device) for name in inputs))
        values = results if isinstance(results, tuple) else (results,)
        return [values[names.index(name)].cpu().numpy() for name in outputs]

    return compute
