"""Operators that change the shape of a value, or read it."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import Value, ints, is_host, positive, tensor, tensors


@register_op("Shape")
def shape(x: Value, *, start: int = 0, end: int | None = None) -> list[int]:
    """Dimensions of x, on the host."""
    sizes = list(x.shape) if isinstance(x, Tensor) else [len(x)] if isinstance(x, Sequence) else []
    return sizes[start:end]


@register_op("Size")
def size(x: Value) -> int:
    """Number of elements, on the host."""
    return prod(shape(x))


@register_op("Reshape", side=(1,))
def reshape(x: Value, to: Value, *, allowzero: int = 0) -> Value:
    """X in another shape: -1 is what remains, 0 a copy of x's dimension."""
    wanted = ints(to)
    if is_host(x) and (wanted in ([-1], [len(ints(x))])):
        return ints(x)
    x = tensor(x)
    if not allowzero:
        wanted = [x.shape[axis] if dimension == 0 else dimension for axis, dimension in enumerate(wanted)]
    return x.reshape(wanted)


@register_op("Flatten")
def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """X as a matrix: the axes before `axis` are the rows."""
    axis = positive(axis, x.ndim)
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


@register_op("Squeeze", side=(1,))
def squeeze(x: Value, where: Value | None = None, *, axes: Sequence[int] | None = None) -> Value:
    """X without axes of length 1; they are an attribute before opset 13 and an input since."""
    chosen = ints(where) if where is not None else axes
    if is_host(x):
        return ints(x)[0] if len(ints(x)) == 1 else x
    x = tensor(x)
    if chosen is None:
        return x.squeeze()
    return x.squeeze(tuple(positive(axis, x.ndim) for axis in chosen)) if len(chosen) else x


@register_op("Unsqueeze", side=(1,))
def unsqueeze(x: Value, where: Value | None = None, *, axes: Sequence[int] = ()) -> Value:
    """X with further axes of length 1; they are an attribute before opset 13 and an input since."""
    chosen = ints(where) if where is not None else list(axes)
    if is_host(x) and not isinstance(x, Sequence) and chosen in ([0], [-1]):
        return [x]
    x = tensor(x)
    for axis in sorted(positive(axis, x.ndim + len(chosen)) for axis in chosen):
        x = x.unsqueeze(axis)
    return x


@register_op("Transpose")
def transpose(x: Value, *, perm: Sequence[int] | None = None) -> Value:
    """X with its axes in another order, reversed by default."""
    if is_host(x):
        return x
    x = tensor(x)
    return x.permute(tuple(reversed(range(x.ndim))) if perm is None else tuple(perm))


@register_op("Concat")
def concat(*xs: Value, axis: int = 1) -> Value:
    """The inputs one behind the other along the axis."""
    if is_host(*xs):
        return [item for x in xs for item in ints(x)]
    return torch.cat(tensors(*xs), dim=axis)


@register_op("Split", side=(1,))
def split(
    x: Value,
    sizes: Value | None = None,
    *,
    axis: int = 0,
    split: Sequence[int] | None = None,
    num_outputs: int | None = None,
    outputs: int = 1,
) -> Any:
    """X cut along the axis, evenly by default."""
    lengths = ints(sizes) if sizes is not None else list(split or [])
    if not lengths:
        total = len(ints(x)) if is_host(x) else tensor(x).shape[axis]
        step = -(-total // outputs)
        lengths = [min(step, total - k * step) for k in range(outputs)]
    if is_host(x):
        starts = [sum(lengths[:k]) for k in range(len(lengths))]
        parts: Any = tuple(ints(x)[start : start + length] for start, length in zip(starts, lengths, strict=True))
    else:
        parts = torch.split(tensor(x), lengths, dim=axis)
    return parts if outputs > 1 else parts[0]


@register_op("Expand", side=(1,))
def expand(x: Value, to: Value) -> Tensor:
    """X repeated along axes of length 1, both ways."""
    x = tensor(x)
    return x.expand(torch.broadcast_shapes(x.shape, tuple(ints(to))))


@register_op("Tile", side=(1,))
def tile(x: Value, repeats: Value) -> Tensor:
    """X repeated along each axis."""
    return tensor(x).repeat(ints(repeats))


@register_op("DepthToSpace")
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Blocks of channels as blocks of pixels."""
    n, c, h, w = x.shape
    depth = c // blocksize**2
    if mode == "DCR":
        y = x.reshape(n, blocksize, blocksize, depth, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        y = x.reshape(n, depth, blocksize, blocksize, h, w).permute(0, 1, 4, 2, 5, 3)
    return y.reshape(n, depth, h * blocksize, w * blocksize)


@register_op("SpaceToDepth")
def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Blocks of pixels as blocks of channels."""
    n, c, h, w = x.shape
    y = x.reshape(n, c, h // blocksize, blocksize, w // blocksize, blocksize)
    y = y.permute(0, 3, 5, 1, 2, 4) if mode == "DCR" else y.permute(0, 1, 3, 5, 2, 4)
    return y.reshape(n, c * blocksize**2, h // blocksize, w // blocksize)
