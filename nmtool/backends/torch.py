"""nmtool's own interpreter in torch: what training sees of a model."""

import importlib.metadata
from collections.abc import Mapping, Sequence

import onnx_ir as ir

from nmtool.backends.compiled import CompiledRunner
from nmtool.backends.engine import Compute, Engine
from nmtool.backends.runner import Array
from nmtool.errors import SetupError
from nmtool.interpreter import to_torch
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


def load(model: ModelSource) -> CompiledRunner:
    """Load a model; its noise is that of the specification at every opset.

    Raises:
        ModelError: the model has nodes that cannot be converted.
        SetupError: torch is not installed.
    """
    return CompiledRunner(model, Engine(version(), _build))


def _build(model: ir.Model) -> Compute:
    import torch

    names = [output.name for output in model.graph.outputs]
    inputs = [value.name or "" for value in model.graph.inputs]
    module = to_torch(model).eval()

    def compute(outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        with torch.no_grad():
            results = module(*(torch.tensor(feeds[name]) for name in inputs))
        values = results if isinstance(results, tuple) else (results,)
        return [values[names.index(name)].detach().numpy() for name in outputs]

    return compute
