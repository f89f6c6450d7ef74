"""ONNX Runtime on an NVIDIA GPU; nodes without a CUDA kernel run on the CPU."""

from typing import Any

from nmtool.backends import ort
from nmtool.errors import UsageError
from nmtool.model import ModelSource


def version() -> str:
    """Name and version.

    Raises:
        SetupError: this onnxruntime is a build without CUDA.
    """
    ort.require_cuda()
    return f"{ort.version()} (CUDA)"


def load(model: ModelSource, **options: Any) -> ort.OrtRunner:
    """Load a model; the options are those of `nmtool.session` but `providers`.

    Raises:
        ModelError: the runtime rejects the model.
        SetupError: this onnxruntime is a build without CUDA, or it finds no GPU or no CUDA libraries.
        UsageError: another device.
    """
    if options.setdefault("device", "cuda") != "cuda":
        raise UsageError(
            f"backend 'onnxruntime-cuda' cannot run on {options['device']!r}", hint="--backend onnxruntime"
        )
    runner = ort.load(model, **options)
    runner.description = version()
    return runner
