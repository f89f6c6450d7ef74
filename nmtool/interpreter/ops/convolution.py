"""Convolutions."""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nmtool.interpreter.ops.windows import window
from nmtool.interpreter.registry import register_op

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@register_op("Conv")
def conv(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Convolution of x [N, C, ...] with w [M, C / group, ...]."""
    slide = window(x.shape[2:], w.shape[2:], strides, dilations, pads, auto_pad)
    padding = slide.before
    if not slide.symmetric or min(padding) < 0:
        x, padding = F.pad(x, slide.padding), [0] * len(padding)
    return _CONV[x.ndim - 2](x, w, b, slide.strides, padding, slide.dilations, group)


@register_op("ConvTranspose")
def conv_transpose(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Transposed convolution of x [N, C, ...] with w [C, M / group, ...]."""
    rank = x.ndim - 2
    steps, spread = list(strides or [1] * rank), list(dilations or [1] * rank)
    extra = list(output_padding or [0] * rank)
    amounts = list(pads or [0] * 2 * rank)
    before, after = amounts[:rank], amounts[rank:]
    same = auto_pad in ("SAME_UPPER", "SAME_LOWER")
    target = list(output_shape or [])[-rank:] or ([x.shape[2 + k] * steps[k] for k in range(rank)] if same else None)
    if target is not None:
        for k in range(rank):
            full = (x.shape[2 + k] - 1) * steps[k] + (w.shape[2 + k] - 1) * spread[k] + 1 + extra[k]
            total = full - target[k]
            small = total // 2
            before[k], after[k] = (small, total - small) if auto_pad == "SAME_UPPER" else (total - small, small)
    function = _TRANSPOSED[rank]
    if before == after and min(before) >= 0 and all(extra[k] < max(steps[k], spread[k]) for k in range(rank)):
        return function(x, w, b, steps, before, extra, group, spread)
    y = function(x, w, None, steps, 0, 0, group, spread)
    crop = [amount for k in reversed(range(rank)) for amount in (-before[k], extra[k] - after[k])]
    y = F.pad(y, crop)
    return y if b is None else y + b.reshape(-1, *(1,) * rank)
