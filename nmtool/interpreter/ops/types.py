"""Conversions between types."""

from typing import Any

import torch
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import DTYPES


@register_op("Cast", only={"saturate": (0, 1), "round_mode": ("up",)})
def cast(x: Any, *, to: int) -> Any:
    """The value in another type."""
    if not isinstance(x, Tensor):
        if to in (6, 7):  # shapes stay on the host, also where an exporter has them as int32
            return [int(item) for item in x] if isinstance(x, list) else int(x)
        return torch.tensor(x).to(DTYPES[to])
    return x.to(DTYPES[to])


@register_op("CastLike", only={"saturate": (0, 1), "round_mode": ("up",)})
def cast_like(x: Any, like: Any) -> Any:
    """The value in the type of another."""
    if not isinstance(like, Tensor):
        return cast(x, to=7)
    return (x if isinstance(x, Tensor) else torch.tensor(x, device=like.device)).to(like.dtype)
