"""OpenVINO on the CPU, in float32."""

import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from nmtool.backends.compiled import CompiledRunner
from nmtool.backends.engine import Compute, Engine, inline_functions
from nmtool.backends.files import on_disk
from nmtool.backends.runner import Array
from nmtool.errors import ModelError, SetupError
from nmtool.model import ModelSource

_INT32 = np.iinfo(np.int32)
_NOISE = ("Exception from ", "Check 'false'", "FrontEnd API failed", "Model wasn't fully", "Loading input model", "Summary:")


def version() -> str:
    """Name and version.

    Raises:
        SetupError: OpenVINO is not installed.
    """
    try:
        return f"openvino {importlib.metadata.version('openvino')}"
    except importlib.metadata.PackageNotFoundError as error:
        raise SetupError("openvino is not installed", hint="pip install 'nmtool[openvino]'") from error


def load(model: ModelSource, *, threads: int | None = None) -> CompiledRunner:
    """Load a model.

    Args:
        model: path, ModelProto or ir.Model.
        threads: threads of the engine; None: its choice.

    Raises:
        ModelError: the engine rejects the model, or it is noisy: its integers are too narrow for the noise.
        SetupError: OpenVINO is not installed.
    """
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    return CompiledRunner(model, Engine(version(), lambda variant: _build(variant, settings), reason=_reason))


def _build(model: ir.Model, settings: Mapping[str, Any]) -> Compute:
    import openvino

    inline_functions(model)
    with on_disk(model) as path:
        compiled = openvino.Core().compile_model(path, "CPU", dict(settings))

    def compute(outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        for name, array in feeds.items():
            _require_32_bits(name, array)
        ports = {name: port for port in compiled.inputs for name in port.names if name in feeds}
        results = compiled({port: feeds[name] for name, port in ports.items()})
        return [results[compiled.output(name)] for name in outputs]

    return compute


def _require_32_bits(name: str, array: Array) -> None:
    if array.dtype.kind in "iu" and array.size and not _INT32.min <= array.min() <= array.max() <= _INT32.max:
        raise ModelError(
            f"openvino failed to run the model: input {name!r} has numbers of more than 32 bits",
            hint="its integers are 32 bits wide; choose another backend",
        )


def _reason(error: Exception) -> str:
    """The first lines that speak of the model instead of OpenVINO's own source files."""
    lines = [re.sub(r" failed at src/\S+:$", "", line.strip(" -")) for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(_NOISE)]
    return " ".join(told[: 2 if told[0].endswith("message:") else 1]) if told else str(error)
