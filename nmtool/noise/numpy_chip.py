"""Device models in numpy: the reference of the ONNX functions, and what `bake` computes with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmtool.noise.device import Drawn
from nmtool.noise.reference import Source, normals, stuck_faults
from nmtool.noise.slicing import Slicing
from nmtool.noise.wires import Wires

Float32 = NDArray[np.float32]


class NumpyChip:
    """Computes in float32, as the ONNX functions do; see `nmtool.noise.device.Chip`.

    Attributes:
        scale: multiplies every standard deviation.
        time: seconds since programming.
    """

    abs, exp, log, sqrt, cos, round = (
        staticmethod(function) for function in (np.abs, np.exp, np.log, np.sqrt, np.cos, np.rint)
    )
    maximum, minimum, where = (staticmethod(function) for function in (np.maximum, np.minimum, np.where))

    def __init__(
        self,
        seed: int,
        stream: int,
        *,
        trial: int = 0,
        run: int = 0,
        scale: float = 1.0,
        time: float = 0.0,
        wires: Wires | None = None,
    ) -> None:
        """Draw for one array.

        Args:
            seed: see nmtool.noise.reference.Source.
            stream: the array.
            trial: the chip.
            run: the noise sample of what is drawn per run.
            scale: see above.
            time: see above.
            wires: of the tiles that hold the array; None: ideal ones.
        """
        self.scale = np.float32(scale)
        self.time = np.float32(time)
        self._seed, self._stream, self._draw = seed, stream, 0
        self._trials = {"chip": trial, "run": run}
        self._wires = wires

    def gaussian(self, mean: Float32, std: Float32 | float, drawn: Drawn = "chip") -> Float32:
        """See Chip.gaussian."""
        noisy: Float32 = mean + (np.float32(1) * std * self.scale) * self._normals(mean, drawn)
        return noisy

    def normal(self, like: Float32, drawn: Drawn = "chip") -> Float32:
        """See Chip.normal."""
        return self._normals(like, drawn)

    def faults(self, x: Float32, probabilities: tuple[float, ...], values: tuple[float, ...]) -> Float32:
        """See Chip.faults."""
        stuck: Float32 = stuck_faults(x, probabilities, values, self._source("chip"), float(self.scale))
        return stuck

    def largest(self, x: Float32, axes: tuple[int, ...] | None) -> Float32:
        """Maximum over the axes (None: all), which stay as 1."""
        return np.asarray(np.max(x, axis=axes, keepdims=True))

    def mean(self, x: Float32, axes: tuple[int, ...] | None) -> Float32:
        """Mean over the axes (None: all), which stay as 1."""
        return np.asarray(np.mean(x, axis=axes, keepdims=True, dtype=np.float32))

    def pair(self, x: Float32) -> Float32:
        """The two sides of differential pairs along a new first axis: max(x, 0) and max(-x, 0)."""
        return np.maximum(np.stack([x, -x]), np.float32(0))

    def part(self, x: Float32, k: int) -> Float32:
        """Entry k of the first axis."""
        return np.asarray(x[k])

    def digits(self, x: Float32, slicing: Slicing) -> Float32:
        """The slices of numbers in [-1, 1] along a new first axis."""
        one, levels = np.float32(1), slicing.levels
        steps = np.clip(np.rint(x / (one / np.float32(levels))), -levels, levels).astype(np.int64)
        base = 2**slicing.per_slice
        digits = np.stack([np.sign(steps) * (np.abs(steps) // power % base) for power in slicing.powers])
        return digits.astype(np.float32) * (one / np.float32(base - 1))

    def loaded(self, conductance: Float32) -> Float32:
        """What cells act as behind the wires of their tiles."""
        if self._wires is None:
            return conductance
        return np.reshape(self._wires.loaded(conductance, self), conductance.shape)

    def reshape(self, x: Float32, shape: tuple[int, ...]) -> Float32:
        """See Layout.reshape."""
        return np.reshape(x, shape)

    def transpose(self, x: Float32, axes: tuple[int, ...]) -> Float32:
        """See Layout.transpose."""
        return np.transpose(x, axes)

    def resized(self, x: Float32, axis: int, before: int, after: int, rank: int) -> Float32:
        """See Layout.resized."""
        if after <= before:
            return np.take(x, range(after), axis)
        return np.pad(x, [(0, after - before if k == axis else 0) for k in range(rank)])

    def accumulate(self, x: Float32, axis: int, reverse: bool) -> Float32:
        """See Layout.accumulate."""
        return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)

    def _normals(self, like: Any, drawn: Drawn) -> Float32:
        return np.asarray(normals(self._source(drawn), 0, like.size).reshape(like.shape))

    def _source(self, drawn: Drawn) -> Source:
        self._draw += 1
        return Source(self._seed, self._stream, self._trials[drawn], self._draw - 1)
