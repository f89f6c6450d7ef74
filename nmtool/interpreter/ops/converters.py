"""Converters of analog arrays: nmtool/ops/converters.py in torch; gradients pass straight through the steps."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.ops import DOMAIN

Number: TypeAlias = Tensor | float


@register_op("Quantize", domain=DOMAIN, frozen=range(1, 4))
def quantize(x: Tensor, limit: Number, lowest: Number, levels: Number) -> Tensor:
    """The nearest step. The gradient is 1 inside the range and 0 outside; the range gets none."""
    limit = torch.as_tensor(limit).detach()
    inside = torch.clamp(x, limit * lowest, limit)
    return inside + (_steps(x, limit, lowest, levels) * (limit / levels) - inside).detach()


@register_op("Digits", domain=DOMAIN, frozen=range(1, 6))
def digits(
    x: Tensor, limit: Number, lowest: Number, levels: Number, powers: Tensor | Sequence[float], base: Number
) -> Tensor:
    """The digits of the nearest step.

    Put together again (digit k counts power_k (base - 1) / levels) they have the gradient of `quantize`. Each digit
    gets the share of it that it counts, so that the gradient of a digit's own noise and steps is weighed so too.
    """
    limit = torch.as_tensor(limit).detach()
    powers = torch.as_tensor(powers, dtype=x.dtype, device=x.device).reshape(-1, *(1,) * x.ndim)
    steps = _steps(x.detach(), limit, lowest, levels)
    high = torch.floor(steps.abs() / powers)
    value = steps.sign() * ((high - base * torch.floor(high / base)) * (limit / (base - 1)))
    factors = powers * (base - 1) / levels
    inside = torch.clamp(x, limit * lowest, limit)
    return value + (inside - inside.detach()) * (factors / (factors * factors).sum())


def _steps(x: Tensor, limit: Tensor, lowest: Number, levels: Number) -> Tensor:
    steps = torch.round(x / (limit / levels))
    return torch.clamp(steps, torch.as_tensor(lowest * levels), torch.as_tensor(levels, dtype=x.dtype))
