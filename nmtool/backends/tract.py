"""tract, Sonos's engine in Rust."""

import functools
import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from nmtool.backends.compiled import CompiledRunner
from nmtool.backends.engine import Compute, Engine, inline_functions
from nmtool.backends.files import on_disk
from nmtool.backends.runner import Array
from nmtool.backends.worker import TIMEOUT, Worker
from nmtool.errors import SetupError
from nmtool.model import ModelSource

_SCRIPT = Path(__file__).with_name("tract_worker.py")


def version() -> str:
    """Name and version.

    Raises:
        SetupError: tract is not installed.
    """
    try:
        return f"tract {importlib.metadata.version('tract')}"
    except importlib.metadata.PackageNotFoundError as error:
        raise SetupError("tract is not installed", hint="pip install 'nmtool[tract]'") from error


def load(model: ModelSource, *, timeout: float = TIMEOUT) -> CompiledRunner:
    """Load a model. It is compiled for each shape of its inputs, at the first run with it where dimensions are open.

    Args:
        model: path, ModelProto or ir.Model.
        timeout: seconds that compiling, and each run, may take.

    Raises:
        ModelError: the engine rejects the model, or it is noisy: products with constants wrap at 32 bits here.
        SetupError: tract is not installed.
    """
    build = functools.partial(_build, timeout=timeout)
    return CompiledRunner(model, Engine(version(), build, by_shape=True, noise=False, reason=_reason))


def _build(model: ir.Model, timeout: float) -> Compute:
    """In a process of its own: tract aborts where it is wrong about a model, and may search for shapes without end."""
    inline_functions(model)
    names = [output.name for output in model.graph.outputs]
    worker = Worker([sys.executable, "-P", str(_SCRIPT)], timeout)
    with on_disk(model) as path:
        worker.call({"path": str(path)})

    def compute(outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        indices = [names.index(name) for name in outputs]
        results = worker.call({"outputs": indices}, feeds)
        return [results[str(index)] for index in indices]

    return compute


def _reason(error: Exception) -> str:
    """Where it happened, and the innermost cause; the rest is a trace of tract's own functions."""
    lines = [line.strip() for line in str(error).partition("Stack backtrace")[0].splitlines() if line.strip()]
    return ": ".join(dict.fromkeys((lines[0], lines[-1]))) if lines else type(error).__name__
