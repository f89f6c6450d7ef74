"""What a noisy array should be, by the specification, and how far an implementation may be from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.checks.array_model import NoisyArray
from nmtool.checks.statistics import frequencies_p_value, variance_p_value
from nmtool.noise.base import Parameter, Stage, WeightStatistics
from nmtool.noise.reference import Source, gaussian_noise, lognormal_noise, stuck_faults

Float64 = NDArray[np.float64]

_NORMALS = 4e-6  # absolute error of a standard normal (docs/noise-spec.md), and of its products in float32
_ROUNDINGS = 8  # units in the last place of the array's type: the rounding of a handful of operations
_SHAPE = (64, 64)  # of an array that stands for an activation
_EPSILON = {ir.DataType.FLOAT16: 2.0**-10, ir.DataType.BFLOAT16: 2.0**-7}  # of the others that of float32, as the noise
_SMALLEST = {ir.DataType.FLOAT16: 2.0**-24}  # distance of the numbers next to 0, where it counts


@dataclass(frozen=True)
class Specified:
    """A noisy array by the specification.

    Attributes:
        values: the noisy array.
        tolerance: largest difference that rounding explains, element by element.
    """

    values: Float64
    tolerance: Float64


def stored(array: NoisyArray, elements: int) -> Float64:
    """Copies of the array, one behind the other along a new first axis, of at least so many elements in all."""
    values = array.values
    if values is None:
        values = np.random.default_rng(0).standard_normal(_SHAPE)
    values = _rounded(values, array)
    return np.tile(values, (-(-elements // values.size), *[1] * values.ndim)).astype(np.float64)


def neutral(array: NoisyArray, stages: Sequence[Stage], elements: int) -> Float64:
    """An array of that shape on which the noise is seen without rounding: 0 for sums, 1 for products.

    For stuck faults, a value that no element is stuck at; activations must vary, as their noise is sized by them.
    """
    x = stored(array, elements)
    if array.values is None:
        return x
    if stages[0].primitive == "StuckFaults":
        return np.full_like(x, 1 + 2 * np.abs(array.parameters[1].astype(np.float64)).max())
    return np.full_like(x, 0.0 if stages[0].primitive == "GaussianNoise" else 1.0)


def parameters(array: NoisyArray, stages: Sequence[Stage], x: Float64) -> list[list[NDArray[Any]]]:
    """The parameters of each stage; those of an activation, which are relative, for the matrices of `x`."""
    remaining = iter(array.parameters)
    return [[_absolute(next(remaining), parameter, array, x) for parameter in stage.parameters] for stage in stages]


def specified(array: NoisyArray, stages: Sequence[Stage], x: Float64, trial: int, scale: float) -> Specified:
    """The noisy array that the file's parameters, seed and stream specify.

    Args:
        array: from the file.
        stages: of the noise model; stage k is draw k.
        x: the array without noise, values of the array's type.
        trial: which noise sample.
        scale: multiplies the noise.
    """
    values, spread = _rounded(x, array), np.zeros(x.shape)
    for draw, (stage, given) in enumerate(zip(stages, parameters(array, stages, x), strict=True)):
        source = Source(array.seed, array.stream, trial, draw)
        if stage.primitive == "GaussianNoise":
            values = gaussian_noise(values, given[0], source, scale)
            spread = spread + given[0].astype(np.float64) * scale
        elif stage.primitive == "LognormalNoise":
            values = lognormal_noise(values, given[0], given[1], source, scale)
            spread = spread + np.abs(values.astype(np.float64)) * given[1] * scale
        else:
            values = stuck_faults(values, given[0], given[1], source, scale)
    noisy = values.astype(np.float64)
    rounding = _ROUNDINGS * _epsilon(array) * np.maximum(np.abs(noisy), np.abs(noisy - x))
    return Specified(noisy, _NORMALS * spread + rounding + _SMALLEST.get(array.dtype, 0.0))


def p_values(array: NoisyArray, stages: Sequence[Stage], x: Float64, draws: Mapping[float, Float64]) -> list[float]:
    """How probable noisy arrays are where their values are only specified in distribution.

    For normals a chi-square test of their variance, over all draws together; for faults one of the frequencies of each
    value, for each draw.

    Args:
        array: from the file.
        stages: of the noise model. Only a single stage can be tested: what several do together has no such statistic.
        x: the array without noise, see `neutral`.
        draws: the noisy array by the scale of the noise.
    """
    if len(stages) > 1:
        return []
    given = parameters(array, stages, x)[0]
    if stages[0].primitive == "StuckFaults":
        return [_fault_p_value(given, y, scale) for scale, y in draws.items()]
    z = np.concatenate([_normals(array, stages[0], given, x, y, scale) for scale, y in draws.items()])
    return [variance_p_value(float(np.square(z).sum()), z.size)] if z.size else []


def _normals(
    array: NoisyArray, stage: Stage, given: Sequence[NDArray[Any]], x: Float64, y: Float64, scale: float
) -> Float64:
    """The standard normals behind a draw, of those elements whose noise is above the rounding."""
    std = np.broadcast_to(given[-1].astype(np.float64) * scale, x.shape)
    lognormal = stage.primitive == "LognormalNoise"
    seen = std * (np.abs(x) if lognormal else 1.0) > 16 * _epsilon(array) * np.abs(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.log(y / x) - given[0].astype(np.float64) * scale if lognormal else y - x
    return np.asarray(noise[seen] / std[seen])


def _fault_p_value(given: Sequence[NDArray[Any]], y: Float64, scale: float) -> float:
    shares = np.minimum(np.cumsum(given[0].astype(np.float64)) * scale, 1.0)
    probabilities = np.diff(shares, prepend=0.0, append=1.0)
    values, place = np.unique(given[1].astype(np.float64), return_inverse=True)
    by_value = np.zeros(len(values) + 1)
    np.add.at(by_value, [*place, -1], probabilities)
    counts = [int(np.isclose(y, value, rtol=1e-2, atol=0).sum()) for value in values]
    return frequencies_p_value([*counts, y.size - sum(counts)], by_value.tolist())


def _absolute(value: NDArray[Any], parameter: Parameter, array: NoisyArray, x: Float64) -> NDArray[Any]:
    if array.values is not None:
        return value
    axes = (-2, -1)
    measures = (x.min(axes, keepdims=True), x.max(axes, keepdims=True), x.mean(axes, keepdims=True))
    weights = WeightStatistics(*measures, x.std(axes, keepdims=True))
    return (value * weights.unit(parameter.unit)).astype(np.float32)


def _rounded(values: NDArray[Any], array: NoisyArray) -> NDArray[Any]:
    return values.astype(array.dtype.numpy())


def _epsilon(array: NoisyArray) -> float:
    return _EPSILON.get(array.dtype, 2.0**-23)
