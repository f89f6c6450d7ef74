"""Quantization: simulated in floating point, with gradients that pass straight through the rounding."""

import torch
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import DTYPES
from nmtool.ops import DOMAIN


@register_op("Round", domain=DOMAIN)
def round_straight_through(x: Tensor) -> Tensor:
    """The nearest integers, halves to even; the gradient is that of x."""
    return x + (torch.round(x) - x).detach()


@register_op(
    "QuantizeLinear",
    frozen=(1, 2),
    only={"saturate": (0, 1), "precision": (0,), "block_size": (0,)},
)
def quantize(
    x: Tensor, scale: Tensor, zero_point: Tensor | None = None, *, axis: int = 1, output_dtype: int = 0
) -> Tensor:
    """The nearest codes, as floating-point numbers: integers would carry no gradient."""
    dtype = zero_point.dtype if zero_point is not None else DTYPES[output_dtype or 2]
    limits = torch.iinfo(dtype)
    codes = round_straight_through(x / _along(scale, x, axis))
    if zero_point is not None:
        codes = codes + _along(zero_point.to(x.dtype), x, axis)
    return torch.clamp(codes, limits.min, limits.max)


@register_op("DequantizeLinear", frozen=(1, 2), only={"block_size": (0,)})
def dequantize(
    codes: Tensor, scale: Tensor, zero_point: Tensor | None = None, *, axis: int = 1, output_dtype: int = 0
) -> Tensor:
    """The real numbers that the codes stand for."""
    y = codes.to(scale.dtype)
    if zero_point is not None:
        y = y - _along(zero_point.to(scale.dtype), codes, axis)
    y = y * _along(scale, codes, axis)
    return y.to(DTYPES[output_dtype]) if output_dtype else y


def _along(parameter: Tensor, x: Tensor, axis: int) -> Tensor:
    """One number, or one for each position on the axis, in a shape that broadcasts."""
    if parameter.numel() == 1:
        return parameter.reshape(())
    return parameter.reshape(-1, *(1,) * (x.ndim - 1 - axis % x.ndim))
