"""ONNX Runtime for browsers: its WebAssembly build, run in Node.js instead of a browser."""

from nmtool.backends import node
from nmtool.backends.compiled import CompiledRunner
from nmtool.backends.worker import TIMEOUT
from nmtool.model import ModelSource

_PACKAGE = "onnxruntime-web"


def version() -> str:
    """Name and version.

    Raises:
        SetupError: Node.js or the package is not installed.
    """
    return node.version(_PACKAGE)


def load(model: ModelSource, *, threads: int | None = None, timeout: float = TIMEOUT) -> CompiledRunner:
    """Load a model; the options and errors are those of `nmtool.backends.node.load`."""
    return node.load(model, threads=threads, timeout=timeout, package=_PACKAGE)
