"""Operators that pick, place or generate elements."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import DTYPES, Value, ints, is_host, positive, scalar, tensor, tensors


@register_op("Slice", side=(1, 2, 3, 4))
def slice_(
    x: Value,
    first: Value | None = None,
    last: Value | None = None,
    along: Value | None = None,
    steps: Value | None = None,
    *,
    starts: Sequence[int] = (),
    ends: Sequence[int] = (),
    axes: Sequence[int] | None = None,
) -> Value:
    """X from `starts` to `ends` in `steps`: attributes before opset 10, inputs since."""
    begin = list(starts) if first is None else ints(first)
    end = list(ends) if last is None else ints(last)
    chosen = ints(along) if along is not None else list(range(len(begin)) if axes is None else axes)
    strides = [1] * len(begin) if steps is None else ints(steps)
    if is_host(x):
        return ints(x)[slice(_bound(begin[0], strides[0]), _bound(end[0], strides[0]), strides[0])]
    x = tensor(x)
    for axis, low, high, step in zip(chosen, begin, end, strides, strict=True):
        if step > 0:
            index = [slice(None)] * positive(axis, x.ndim)
            x = x[(*index, slice(low, min(high, 2**62), step))]
        else:
            found = range(x.shape[axis])[slice(_bound(low, step), _bound(high, step), step)]
            x = x.index_select(axis, torch.tensor(list(found), dtype=torch.int64, device=x.device))
    return x


def _bound(value: int, step: int) -> int | None:
    """A bound for a Python slice: numbers near the end of int64 mean "to the end"."""
    return None if step < 0 and value <= -(2**31) + 1 else value


@register_op("Gather", side=(1,))
def gather(x: Value, indices: Value, *, axis: int = 0) -> Value:
    """Slices of x at the indices."""
    if is_host(x, indices):
        items = ints(x)
        return [items[k] for k in indices] if isinstance(indices, Sequence) else items[indices]  # type: ignore[index]
    data = tensor(x, indices if isinstance(indices, Tensor) else None)
    if not isinstance(indices, Tensor | Sequence):
        return data.select(axis, int(indices))
    where = tensor(indices, data)
    flat = where.reshape(-1)
    flat = torch.where(flat < 0, flat + data.shape[axis], flat)
    axis = positive(axis, data.ndim)
    return data.index_select(axis, flat).reshape(*data.shape[:axis], *where.shape, *data.shape[axis + 1 :])


@register_op("GatherElements")
def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Element by element along the axis."""
    return torch.gather(x, axis, _wrapped(indices, x.shape[axis]))


@register_op("GatherND")
def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """Slices of x at tuples of indices."""
    x, indices = tensors(x, indices)
    depth = indices.shape[-1]
    batch = [
        torch.arange(x.shape[k], device=x.device).reshape(*(1,) * k, -1, *(1,) * (indices.ndim - 2 - k))
        for k in range(batch_dims)
    ]
    chosen = [_wrapped(indices[..., k], x.shape[batch_dims + k]) for k in range(depth)]
    return x[(*batch, *chosen)]


def _wrapped(indices: Tensor, length: int) -> Tensor:
    indices = indices.to(torch.int64)
    return torch.where(indices < 0, indices + length, indices)


_SCATTER = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@register_op("ScatterElements", "Scatter")
def scatter_elements(x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none") -> Tensor:
    """X with elements along the axis replaced, or combined with what was there."""
    x, indices, updates = tensors(x, indices, updates)
    where = _wrapped(indices, x.shape[axis])
    if reduction == "none":
        return x.scatter(axis, where, updates)
    return x.scatter_reduce(axis, where, updates, _SCATTER[reduction])


@register_op("ScatterND")
def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """X with slices at tuples of indices replaced, or combined with what was there."""
    x, indices, updates = tensors(x, indices, updates)
    depth = indices.shape[-1]
    chosen = tuple(_wrapped(indices[..., k], x.shape[k]) for k in range(depth))
    if reduction == "none":
        return x.index_put(chosen, updates)
    row = torch.zeros_like(chosen[0])
    for size, position in zip(x.shape[:depth], chosen, strict=True):
        row = row * size + position
    flat = x.reshape(-1, prod(x.shape[depth:]))
    rows = row.reshape(-1, 1).expand(-1, flat.shape[1])
    return flat.scatter_reduce(0, rows, updates.reshape(rows.shape), _SCATTER[reduction]).reshape(x.shape)


@register_op("Pad", side=(1, 2, 3))
def pad(
    x: Tensor,
    amounts: Value | None = None,
    constant: Value | None = None,
    along: Value | None = None,
    *,
    mode: str = "constant",
    pads: Sequence[int] = (),
    value: float = 0.0,
) -> Tensor:
    """X with its borders extended; amounts are an attribute before opset 11 and an input since."""
    widths = list(pads) if amounts is None else ints(amounts)
    axes = list(range(x.ndim)) if along is None else [positive(axis, x.ndim) for axis in ints(along)]
    if mode == "constant":
        filler = value if constant is None or constant == [] else scalar(constant)
        pairs = {axis: (widths[k], widths[k + len(axes)]) for k, axis in enumerate(axes)}
        order = [amount for axis in reversed(range(x.ndim)) for amount in pairs.get(axis, (0, 0))]
        return F.pad(x, order, value=filler)
    for k, axis in enumerate(axes):
        before, after = widths[k], widths[k + len(axes)]
        if before or after:
            x = x.index_select(axis, _border(x.shape[axis], before, after, mode).to(x.device))
    return x


def _border(length: int, before: int, after: int, mode: str) -> Tensor:
    """Indices along one axis, with those that the border repeats."""
    index = torch.arange(-before, length + after)
    if mode == "edge":
        return index.clamp(0, length - 1)
    if mode == "wrap":
        return index % length
    period = max(2 * (length - 1), 1)
    index = index % period
    return torch.where(index < length, index, period - index)


@register_op("ConstantOfShape", side=(0,))
def constant_of_shape(to: Value, *, value: Tensor | None = None) -> Value:
    """A value repeated; short vectors of integers stay on the host."""
    sizes = ints(to)
    if value is None:
        return torch.zeros(sizes)
    if value.dtype == torch.int64 and len(sizes) == 1:
        return [int(value.item())] * sizes[0]
    return value.reshape(()).expand(sizes)


@register_op("Range", side=(0, 1, 2), only={"stash_type": (1,)})
def range_(start: Value, limit: Value, delta: Value) -> Tensor:
    """Numbers from start to limit."""
    like = next((value for value in (start, limit, delta) if isinstance(value, Tensor)), None)
    dtype, device = (None, None) if like is None else (like.dtype, like.device)
    return torch.arange(scalar(start), scalar(limit), scalar(delta), dtype=dtype, device=device)


@register_op("Trilu", side=(1,))
def trilu(x: Tensor, k: Value = 0, *, upper: int = 1) -> Tensor:
    """The upper or lower triangle, from the k-th diagonal."""
    return (torch.triu if upper else torch.tril)(x, int(scalar(k)))


@register_op("OneHot", side=(1,))
def one_hot(indices: Value, depth: Value, values: Value, *, axis: int = -1) -> Tensor:
    """The on value at the index along a new axis, else the off value."""
    count = int(scalar(depth))
    where, levels = tensors(indices, values)
    hot = F.one_hot(torch.remainder(where.to(torch.int64), count), count)
    inside = (where >= -count) & (where < count)
    hot = (hot * inside.unsqueeze(-1)).movedim(-1, axis)
    return torch.where(hot.bool(), levels[1], levels[0])


@register_op("EyeLike")
def eye_like(x: Tensor, *, dtype: int | None = None, k: int = 0) -> Tensor:
    """Ones on the k-th diagonal."""
    rows, columns = x.shape
    difference = torch.arange(columns, device=x.device) - torch.arange(rows, device=x.device).unsqueeze(1)
    return (difference == k).to(x.dtype if dtype is None else DTYPES[dtype])


@register_op("NonZero")
def non_zero(x: Value) -> Tensor:
    """Indices of the elements that are not 0."""
    return tensor(x).nonzero().T


@register_op("TopK", side=(1,))
def top_k(
    x: Tensor, count: Value | None = None, *, axis: int = -1, largest: int = 1, sorted: int = 1, k: int = 1
) -> Any:
    """The largest or smallest elements and their indices."""
    number = k if count is None else int(scalar(count))
    index = torch.argsort(x, dim=axis, descending=bool(largest), stable=True).narrow(axis, 0, number)
    return torch.gather(x, axis, index), index


@register_op("ReverseSequence")
def reverse_sequence(x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0) -> Tensor:
    """The first elements of each sequence in reverse order."""
    y = x.movedim((time_axis, batch_axis), (0, 1))
    time = torch.arange(y.shape[0], device=x.device).unsqueeze(1)
    lengths = tensor(lengths, x)
    index = torch.where(time < lengths, lengths - 1 - time, time)
    y = y[index, torch.arange(y.shape[1], device=x.device)]
    return y.movedim((0, 1), (time_axis, batch_axis))
