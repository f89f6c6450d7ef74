"""How large the noise is on weights that training changes: the torch twin of nmtool.noise.base."""

import torch
from torch import Tensor

from nmtool.errors import UsageError
from nmtool.noise.base import Unit


def size(
    weights: Tensor, value: float | tuple[float, ...], unit: Unit, channel_axis: int | None = None, groups: int = 1
) -> Tensor:
    """A parameter of the noise in weight units, float32: `value` units of the weights as they are now.

    Args:
        weights: the clean weights, at least one.
        value: of the parameter, or its K values.
        unit: what it is a multiple of.
        channel_axis: see `measure`.
        groups: see `measure`.

    Returns:
        Of shape (), broadcastable to the weights, or [K].

    Raises:
        UsageError: K values per channel.
    """
    one = measure(weights, unit, channel_axis, groups)
    if not isinstance(value, tuple):
        return (value * one).float()
    if channel_axis is not None:
        raise UsageError("stuck faults have no per-channel form", hint="drop --per-channel")
    return (torch.tensor(value, dtype=torch.float64, device=one.device) * one).float()


@torch.no_grad()
def measure(weights: Tensor, unit: Unit, channel_axis: int | None = None, groups: int = 1) -> Tensor:
    """The unit in weight units, float64, without gradient.

    Args:
        weights: the clean weights, at least one.
        unit: what to measure.
        channel_axis: axis of the output channels, to measure each of them; None for the whole array.
        groups: the first axis is split in this many groups that do not share channels (a grouped ConvTranspose).

    Returns:
        Of shape (), or broadcastable to the weights.
    """
    kept = () if channel_axis is None else (0, channel_axis + 1)
    whole = not kept
    split = weights.detach().reshape(groups, -1, *weights.shape[1:], 1)  # so that there always is an axis to reduce
    axes = tuple(axis for axis in range(split.ndim) if axis not in kept)
    minimum, maximum = split.aminmax() if whole else (split.amin(axes, True), split.amax(axes, True))
    minimum, maximum = minimum.double(), maximum.double()
    if unit == "one":
        measured = torch.ones_like(maximum)
    elif unit == "range":
        measured = maximum - minimum
    elif unit == "max":
        measured = torch.maximum(minimum.abs(), maximum.abs())
    else:
        spread = split.double().std(axes, correction=0, keepdim=not whole)
        measured = torch.where(maximum > minimum, spread, 0)
    if whole:
        return measured
    measured = measured.repeat_interleave(split.shape[1], dim=1) if groups > 1 else measured
    return measured.reshape(-1, *measured.shape[2:-1])
