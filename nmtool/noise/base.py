"""What a noise model is: weights in, stages of primitives out.

The runtime knows three primitives (docs/noise-spec.md) and no physics. A noise model is a frozen dataclass that turns
the statistics of a weight array into the parameters of those primitives.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmtool.errors import UsageError

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

Unit = Literal["one", "range", "max", "std"]
"""What a relative parameter is a multiple of: 1, max W - min W, max |W|, or the standard deviation of W."""


@dataclass(frozen=True)
class WeightStatistics:
    """Statistics of a weight array, of the whole (shape ()) or per output channel (broadcastable to the weights).

    Attributes:
        minimum: smallest weight.
        maximum: largest weight.
        mean: mean weight.
        std: standard deviation of the weights about their mean.
    """

    minimum: Float64
    maximum: Float64
    mean: Float64
    std: Float64

    def unit(self, unit: Unit) -> Float64:
        """The size of `unit` for these weights, in weight units (dimensionless for "one")."""
        sizes = {
            "one": np.ones_like(self.std),
            "range": self.maximum - self.minimum,
            "max": np.maximum(np.abs(self.minimum), np.abs(self.maximum)),
            "std": self.std,
        }
        return sizes[unit]


@dataclass(frozen=True)
class Parameter:
    """A primitive's parameter as a multiple of a unit, so that it can be resolved at injection or at run time.

    Attributes:
        value: scalar, or [K] for the parameters of StuckFaults.
        unit: what `value` is a multiple of.
    """

    value: float | tuple[float, ...]
    unit: Unit = "one"

    def resolve(self, weights: WeightStatistics) -> Float32:
        """The parameter in weight units, float32: scalar or per channel; [K] for a parameter of K values.

        Raises:
            UsageError: K values with per-channel statistics: StuckFaults takes one set of values per array.
        """
        unit = weights.unit(self.unit)
        if isinstance(self.value, tuple) and unit.ndim > 0:
            raise UsageError("stuck faults have no per-channel form", hint="drop --per-channel")
        return np.asarray(np.asarray(self.value) * unit, np.float32)


@dataclass(frozen=True)
class Channels:
    """Where the output channels of an array are.

    Attributes:
        axis: axis of the array along which they lie; None where they are no axis of it.
        groups: the first axis is split in this many groups that do not share channels (a grouped ConvTranspose).
    """

    axis: int | None = None
    groups: int = 1

    def within(self, rank: int) -> tuple[int, ...] | None:
        """The axes along which a channel extends, None where it is all.

        Where there are groups, of the array reshaped so that they are a first axis of its own.

        Args:
            rank: of the array.
        """
        if self.axis is None:
            return None
        split = self.groups > 1
        return tuple(axis for axis in range(split, rank + split) if axis != self.axis + split)


Primitive = Literal["GaussianNoise", "LognormalNoise", "StuckFaults"]


@dataclass(frozen=True)
class Stage:
    """One application of a primitive; `parameters` are in the order of the primitive's inputs."""

    primitive: Primitive
    parameters: tuple[Parameter, ...]


PARAMETER_NAMES: dict[Primitive, tuple[str, ...]] = {
    "GaussianNoise": ("std",),
    "LognormalNoise": ("mean", "std"),
    "StuckFaults": ("probabilities", "values"),
}
"""The inputs of each primitive between the weights and the trial."""


class NoiseModel(Protocol):
    """A device's noise. Implementations are frozen dataclasses, one per file, listed in NOISE_MODELS."""

    name: ClassVar[str]

    @property
    def eta(self) -> float:
        """Strength of the noise; `noise_scale` multiplies it at run time."""
        ...

    def stages(self) -> tuple[Stage, ...]:
        """The primitives to apply to the weights, in order."""
        ...

    def sigma(self, weights: WeightStatistics) -> float | None:
        """Root-mean-square perturbation of one weight, in weight units; None where it has no closed form."""
        ...


def parameters(noise: Any) -> dict[str, Any]:
    """What is recorded of a noise model, of cells or of hardware: name and fields, JSON-serialisable."""
    if table := getattr(noise, "table", None):
        return {"model": noise.name, "eta": noise.eta, "table": dict(table)}
    return {"model": noise.name, **{field: _plain(value) for field, value in vars(noise).items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [{"name": each.name, **vars(each)} if hasattr(each, "name") else each for each in value]
    return value


def require_non_negative(model: str, **values: float) -> None:
    """Raise UsageError unless every named parameter is a finite number >= 0."""
    for name, value in values.items():
        if not np.isfinite(value) or value < 0:
            raise UsageError(f"{name} of noise model `{model}` must be a finite number >= 0, not {value}")


def root_mean_square(values: ArrayLike) -> float:
    """Root mean square over channels: the single figure reported for a per-channel sigma."""
    return float(np.sqrt(np.mean(np.square(values))))
