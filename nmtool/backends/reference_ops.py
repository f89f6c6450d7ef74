"""Operators that onnx's reference evaluator gets wrong, put right."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

_MODELESS = range(7, 14)
"""Opsets in which BatchNormalization has no attribute for its mode: with one output it is for inference."""


def corrections(opset: int) -> list[type[OpRun]]:
    """What to give to the evaluator for a model of this opset."""
    return [BatchNormalization] if opset in _MODELESS else []


class BatchNormalization(OpRun):
    """In inference, the statistics are those that are stored; the evaluator's own mixes those of the batch in."""

    def _run(
        self,
        x: NDArray[Any],
        scale: NDArray[Any],
        bias: NDArray[Any],
        mean: NDArray[Any],
        var: NDArray[Any],
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        spatial: int = 1,
        training_mode: int = 0,
    ) -> tuple[NDArray[Any]]:
        """Normalize x [N, C, ...]; the other attributes are of no use here, but are given."""
        by_channel = (-1, *(1,) * (x.ndim - 2))
        scale, bias, mean, var = (each.reshape(by_channel) for each in (scale, bias, mean, var))
        y = scale * (x - mean) / np.sqrt(var + epsilon) + bias
        return (y.astype(x.dtype),)
