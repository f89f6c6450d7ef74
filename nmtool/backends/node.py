"""ONNX Runtime for JavaScript, in Node.js: what a server in JavaScript runs."""

import functools
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from nmtool.backends.compiled import CompiledRunner
from nmtool.backends.engine import Compute, Engine
from nmtool.backends.files import on_disk
from nmtool.backends.runner import Array
from nmtool.backends.worker import TIMEOUT, Worker, WorkerError
from nmtool.errors import SetupError
from nmtool.model import ModelSource

PACKAGE = "onnxruntime-node"
_SCRIPT = Path(__file__).with_name("worker.mjs")
_HINTS = {
    PACKAGE: "npm install onnxruntime-node --onnxruntime-node-install=skip",  # else it may download CUDA libraries
}


def version(package: str = PACKAGE) -> str:
    """Name and version.

    Raises:
        SetupError: Node.js or the package is not installed.
    """
    worker = _start(package)
    worker.close()
    return f"{package} {worker.hello['version']}"


def load(
    model: ModelSource, *, threads: int | None = None, timeout: float = TIMEOUT, package: str = PACKAGE
) -> CompiledRunner:
    """Load a model.

    Args:
        model: path, ModelProto or ir.Model.
        threads: threads inside an operator; None: the runtime's choice.
        timeout: seconds that loading, and each run, may take.
        package: the npm package.

    Raises:
        ModelError: the runtime rejects the model.
        SetupError: Node.js or the package is not installed.
    """
    build = functools.partial(_build, package=package, threads=threads, timeout=timeout)
    return CompiledRunner(model, Engine(version(package), build))


def _start(package: str, timeout: float = TIMEOUT) -> Worker:
    node = shutil.which("node")
    hint = _HINTS.get(package, f"npm install {package}")
    if node is None:
        raise SetupError("Node.js is not installed", hint=f"install Node.js, then: {hint}")
    try:
        worker = Worker([node, str(_SCRIPT), package], timeout)
    except WorkerError as error:
        raise SetupError(f"Node.js cannot run {package}: {error}", hint="is it version 18 or newer?") from error
    if "version" not in worker.hello:
        missing = worker.hello["missing"]
        raise SetupError(f"{package} is not installed" if missing else worker.hello["reason"], hint=hint)
    return worker


def _build(model: ir.Model, package: str, threads: int | None, timeout: float) -> Compute:
    worker = _start(package, timeout)
    with on_disk(model) as path:
        worker.call({"path": str(path), "threads": threads})

    def compute(outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        results = worker.call({"outputs": list(outputs)}, feeds)
        return [results[name] for name in outputs]

    return compute
