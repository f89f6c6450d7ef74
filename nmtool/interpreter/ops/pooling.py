"""Pooling."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nmtool.interpreter.ops.windows import Window, window
from nmtool.interpreter.registry import register_op

_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@register_op("MaxPool", only={"storage_order": (0,)})
def max_pool(
    x: Tensor,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    outputs: int = 1,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest element of each window and, as a second output, its index in the whole flattened x."""
    slide = window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    function = _MAX[len(kernel_shape)]
    lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    if slide.symmetric and all(2 * pad <= size for pad, size in zip(slide.before, slide.kernel, strict=True)):
        padded, padding = x, slide.before
    else:
        padded, padding = F.pad(x, slide.padding, value=lowest), [0] * len(slide.before)
    values, indices = function(
        padded, slide.kernel, slide.strides, padding, slide.dilations, False, return_indices=True
    )
    if outputs == 1:
        return values
    return values, _flat(indices, x, padded, slide)


def _flat(indices: Tensor, x: Tensor, padded: Tensor, slide: Window) -> Tensor:
    """Indices within one padded channel as indices in the whole of x."""
    if padded is not x:
        positions = torch.unravel_index(indices, padded.shape[2:])
        indices = torch.zeros_like(indices)
        for axis, position in enumerate(positions):
            indices = indices * x.shape[2 + axis] + position - slide.before[axis]
    channels = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(*x.shape[:2], *(1,) * (x.ndim - 2))
    return indices + channels * x[0, 0].numel()


@register_op("AveragePool")
def average_pool(
    x: Tensor,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Mean of each window."""
    plain = window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad)
    slide = window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    fits = all(2 * pad <= size for pad, size in zip(slide.before, slide.kernel, strict=True))
    if slide == plain and slide.symmetric and fits and set(slide.dilations) == {1}:
        function = _AVERAGE[len(slide.kernel)]
        return function(x, slide.kernel, slide.strides, slide.before, False, bool(count_include_pad))
    ones = torch.ones_like(x[:1, :1])
    if count_include_pad:
        ones = F.pad(F.pad(ones, plain.padding, value=1.0), _beyond(plain, slide))
    else:
        ones = F.pad(ones, slide.padding)
    return _window_sums(F.pad(x, slide.padding), slide) / _window_sums(ones, slide)


def _beyond(plain: Window, slide: Window) -> list[int]:
    """Padding that ceil_mode adds."""
    added = [more - less for more, less in zip(slide.after, plain.after, strict=True)]
    return [amount for last in reversed(added) for amount in (0, last)]


def _window_sums(x: Tensor, slide: Window) -> Tensor:
    planes = x.reshape(-1, 1, *x.shape[2:])
    ones = torch.ones(1, 1, *slide.kernel, dtype=x.dtype, device=x.device)
    sums = _CONV[len(slide.kernel)](planes, ones, None, slide.strides, 0, slide.dilations)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


@register_op("LpPool")
def lp_pool(
    x: Tensor,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    p: int = 2,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The p-norm of each window."""
    slide = window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    return _window_sums(F.pad(x.abs() ** p, slide.padding), slide) ** (1 / p)


@register_op("GlobalAveragePool")
def global_average_pool(x: Tensor) -> Tensor:
    """Mean over the spatial axes."""
    return x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)


@register_op("GlobalMaxPool")
def global_max_pool(x: Tensor) -> Tensor:
    """Largest element over the spatial axes."""
    return x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)


@register_op("GlobalLpPool")
def global_lp_pool(x: Tensor, *, p: int = 2) -> Tensor:
    """The p-norm over the spatial axes."""
    return (x.abs() ** p).sum(dim=tuple(range(2, x.ndim)), keepdim=True) ** (1 / p)
