"""ONNX Runtime on an NVIDIA GPU; nodes without a CUDA kernel run on the CPU."""

from typing import Any

from nmtool.backends import ort
from nmtool.errors import SetupError
from nmtool.model import ModelSource

_PROVIDER = "CUDAExecutionProvider"
_HINT = "pip uninstall onnxruntime && pip install 'nmtool[gpu]'"


def version() -> str:
    """Name and version.

    Raises:
        SetupError: this onnxruntime is a build without CUDA.
    """
    if _PROVIDER not in ort.available_providers():
        raise SetupError(f"{ort.version()} has no {_PROVIDER}", hint=_HINT)
    return f"{ort.version()} (CUDA)"


def load(model: ModelSource, **options: Any) -> ort.OrtRunner:
    """Load a model; the options are those of `nmtool.session` but `providers`.

    Raises:
        ModelError: the runtime rejects the model.
        SetupError: this onnxruntime is a build without CUDA, or it finds no GPU or no CUDA libraries.
    """
    description = version()
    runner = ort.load(model, providers=["cuda", "cpu"], **options)
    if _PROVIDER not in runner.session.get_providers():  # it falls back to the CPU
        raise SetupError(f"{ort.version()} cannot use its {_PROVIDER}", hint="check the driver, CUDA and cuDNN")
    runner.description = description
    return runner
