"""Reductions along axes, and sums along one."""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import Value, ints, scalar, tensor


def _prod(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(dim=axis, keepdim=keepdim, dtype=x.dtype)
    return x


def _sum(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return x.sum(dim=axes, keepdim=keepdim, dtype=x.dtype)


def _mean(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return x.mean(dim=axes, keepdim=keepdim)


def _l1(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return _sum(x.abs(), axes, keepdim)


def _l2(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return torch.sqrt(_sum(x * x, axes, keepdim))


def _sum_square(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return _sum(x * x, axes, keepdim)


def _log_sum(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return torch.log(_sum(x, axes, keepdim))


def _log_sum_exp(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    return torch.logsumexp(x, dim=axes, keepdim=keepdim)


def _max(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    if x.numel() == 0:
        return x.new_full(_reduced(x, axes, keepdim), -torch.inf)
    return x.amax(dim=axes, keepdim=keepdim)


def _min(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    if x.numel() == 0:
        return x.new_full(_reduced(x, axes, keepdim), torch.inf)
    return x.amin(dim=axes, keepdim=keepdim)


def _reduced(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> list[int]:
    inside = {axis % x.ndim for axis in axes}
    return [1 if k in inside else size for k, size in enumerate(x.shape) if keepdim or k not in inside]


_HOST: dict[str, Callable[..., int]] = {"ReduceMax": max, "ReduceMin": min, "ReduceProd": prod, "ReduceSum": sum}


def _reduction(name: str, function: Callable[[Tensor, tuple[int, ...], bool], Tensor]) -> None:
    on_host = _HOST.get(name)

    @register_op(name, side=(1,))
    def reduce(
        x: Value,
        along: Value | None = None,
        *,
        axes: Sequence[int] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Value:
        """Reduce over axes: an attribute or, from opset 13 or 18 on, an input; all of them where none is given."""
        if isinstance(x, Sequence) and on_host is not None:
            return [on_host(x)] if keepdims else on_host(x)
        x = tensor(x)
        chosen = tuple(ints(along) if along is not None else axes or ())
        if not chosen and noop_with_empty_axes:
            return function(x.unsqueeze(-1), (-1,), False)
        if x.ndim == 0:
            return function(x.unsqueeze(0), (0,), False)
        return function(x, chosen or tuple(range(x.ndim)), bool(keepdims))

    reduce.__name__ = reduce.__qualname__ = name
    globals()[name] = reduce  # where the code that torch.fx generates looks for it


for _name, _function in {
    "ReduceL1": _l1,
    "ReduceL2": _l2,
    "ReduceLogSum": _log_sum,
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": _max,
    "ReduceMean": _mean,
    "ReduceMin": _min,
    "ReduceProd": _prod,
    "ReduceSum": _sum,
    "ReduceSumSquare": _sum_square,
}.items():
    _reduction(_name, _function)


@register_op("ArgMax")
def arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Index of the largest element."""
    if not select_last_index:
        return torch.argmax(x, axis, keepdim=bool(keepdims))
    return x.shape[axis] - 1 - torch.argmax(x.flip(axis), axis, keepdim=bool(keepdims))


@register_op("ArgMin")
def arg_min(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Index of the smallest element."""
    if not select_last_index:
        return torch.argmin(x, axis, keepdim=bool(keepdims))
    return x.shape[axis] - 1 - torch.argmin(x.flip(axis), axis, keepdim=bool(keepdims))


@register_op("CumSum", side=(1,))
def cumulative_sum(x: Tensor, axis: Value, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """Sum of the elements up to each."""
    dim = int(scalar(axis))
    y = x.flip(dim) if reverse else x
    total = y.cumsum(dim, dtype=x.dtype)
    total = total - y if exclusive else total
    return total.flip(dim) if reverse else total
