"""What the tests and the table of docs/torch.md measure of a converted model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from running import run_ort

import nmtool
from nmtool.interpreter import taps

Arrays = list[NDArray[Any]]


@dataclass(frozen=True)
class Figures:
    """Measured of one model.

    Attributes:
        parity: relative difference to ONNX Runtime.
        batch: relative difference of a batch of samples to the samples one by one, or None where the batch is fixed.
        weights: how many numbers are trained.
        share: of them that a gradient reaches.
        taps: how many arrays of weights have a tap.
    """

    parity: float
    batch: float | None
    weights: int
    share: float
    taps: int

    def cells(self) -> list[str]:
        """As cells of a table."""
        batch = "its batch is fixed" if self.batch is None else f"{self.batch:.0e}"
        return [f"{self.parity:.0e}", batch, f"{self.weights:,}", f"{self.share:.0%}", str(self.taps)]


def relative(got: Arrays, expected: Arrays) -> float:
    """Largest difference over the largest value, of the worst output."""
    return max(
        float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-12)) if a.shape == b.shape else np.inf
        for a, b in zip(got, expected, strict=True)
    )


def call(module: torch.nn.Module, arrays: Arrays) -> list[torch.Tensor]:
    """The outputs, always as a list."""
    result = module(*(torch.from_numpy(array) for array in arrays))
    return list(result) if isinstance(result, tuple) else [result]


def numbers(module: torch.nn.Module, arrays: Arrays) -> Arrays:
    """The outputs as arrays."""
    with torch.no_grad():
        return [value.numpy() for value in call(module, arrays)]


def measure(
    proto: onnx.ModelProto,
    samples: list[Arrays],
    join_inputs: Callable[[list[Arrays]], Arrays] | None,
    join_outputs: Callable[[list[Arrays]], Arrays] | None,
) -> Figures:
    """Convert the model and compare; `samples` are its inputs for batches of 1, which the functions put together."""
    module = nmtool.to_torch(proto).eval()
    names = [value.name for value in proto.graph.input if value.name not in {a.name for a in proto.graph.initializer}]
    expected = run_ort(proto, dict(zip(names, samples[0], strict=True)))
    outputs = call(module, samples[0])
    sum(value.sum() for value in outputs if value.requires_grad).backward()
    parameters = list(module.parameters())
    weights = sum(parameter.numel() for parameter in parameters)
    reached = sum(parameter.numel() for parameter in parameters if parameter.grad is not None)
    batch = None
    if join_inputs is not None and join_outputs is not None:
        together = numbers(module, join_inputs(samples))
        batch = relative(together, join_outputs([numbers(module, sample) for sample in samples]))
    parity = relative([value.detach().numpy() for value in outputs], expected)
    return Figures(parity, batch, weights, reached / weights, len(taps(module)))


def concatenated(samples: list[Arrays]) -> Arrays:
    """The samples as one batch along the first axes."""
    return [np.concatenate(arrays) for arrays in zip(*samples, strict=True)]
