"""Statistics of weight arrays, in bounded memory, on all cores."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.errors import ModelError
from nmtool.noise.base import Float64, WeightStatistics

_BLOCK = 1 << 16  # elements; as float64 they stay in a core's cache while the passes of _moments go over them
_PART = 64 * _BLOCK  # what a thread takes at a time

_Reader: TypeAlias = Callable[[int, int], Iterable[NDArray[Any]]]
"""Gives the elements of a tensor from a first to before a last one, in storage order, in blocks."""


class _Moments(NamedTuple):
    """Of some weights, all together (shape ()) or per channel."""

    minimum: Float64
    maximum: Float64
    total: Float64
    square: Float64


def statistics(
    tensor: ir.TensorProtocol, name: str, channel_axis: int | None = None, groups: int = 1
) -> WeightStatistics:
    """Minimum, maximum, mean and standard deviation of a float tensor, in float64.

    Args:
        tensor: at least one element. External data is read in blocks and never held as a whole.
        name: the array's name, for messages.
        channel_axis: axis of the output channels, for statistics per channel; None for the whole tensor.
        groups: the first axis is split in this many groups that do not share channels (a grouped ConvTranspose).

    Raises:
        ModelError: a weight is NaN or infinite.
    """
    if channel_axis is not None:
        return _per_channel(tensor, name, channel_axis, groups)

    blocks = _reader(tensor)

    def part(start: int) -> _Moments:
        return _merged(_moments(block, name) for block in blocks(start, min(start + _PART, tensor.size)))

    return WeightStatistics(*_spread(_merged(_on_all_cores(part, range(0, tensor.size, _PART))), tensor.size))


def _per_channel(tensor: ir.TensorProtocol, name: str, axis: int, groups: int) -> WeightStatistics:
    """The same for each channel."""
    shape = tuple(tensor.shape.numpy())
    moments = _channel_moments(np.asarray(tensor.numpy()).reshape(groups, -1, *shape[1:]), name, axis)
    if isinstance(tensor, ir.ExternalTensor):
        tensor.release()  # else the pages of every array stay resident
    spread = _spread(moments, tensor.size // moments.total.size)
    repeated = (np.repeat(x, shape[0] // groups if groups > 1 else 1, axis=1) for x in spread)
    return WeightStatistics(*(x.reshape(-1, *moments.total.shape[2:]) for x in repeated))


def _channel_moments(weights: NDArray[Any], name: str, axis: int) -> _Moments:
    """Of the weights [groups, rows, …], a few rows at a time; `axis` is that of the channels without the groups."""
    axes = tuple(a for a in range(weights.ndim) if a not in (0, axis + 1))
    joined = _concatenated if axis == 0 else _merged  # along the rows are channels, or what they are made of
    rows, per_row = weights.shape[1], weights.size // weights.shape[1]
    few, many = max(1, _BLOCK // per_row), max(1, _PART // per_row)

    def part(start: int) -> _Moments:
        stop = min(start + many, rows)
        return joined(_moments(weights[:, k : min(k + few, stop)], name, axes) for k in range(start, stop, few))

    return joined(_on_all_cores(part, range(0, rows, many)))


def _on_all_cores(part: Callable[[int], _Moments], starts: range) -> list[_Moments]:
    """The parts in order; numpy works without the interpreter's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(part, starts))


def _moments(weights: NDArray[Any], name: str, axes: tuple[int, ...] | None = None) -> _Moments:
    """Over some axes, which are kept with length 1; over all, which are not, where None is given."""
    keep = axes is not None
    values = weights.astype(np.float64)
    minimum, maximum = values.min(axes, keepdims=keep), values.max(axes, keepdims=keep)
    if not (np.isfinite(minimum).all() and np.isfinite(maximum).all()):  # a NaN among the values is their minimum
        bad = values.size - int(np.isfinite(values).sum())
        raise ModelError(
            f"weights {name!r} hold NaN or infinite values: {bad} of {values.size} in one part",
            hint="repair the model, or keep the node that uses them digital with --exclude",
        )
    total = values.sum(axes, keepdims=keep)
    np.square(values, out=values)
    return _Moments(minimum, maximum, total, values.sum(axes, keepdims=keep))


def _merged(parts: Iterable[_Moments]) -> _Moments:
    """The moments of what consists of the parts."""
    combine = (np.minimum, np.maximum, np.add, np.add)
    return functools.reduce(lambda a, b: _Moments(*(f(x, y) for f, x, y in zip(combine, a, b, strict=True))), parts)


def _concatenated(parts: Iterable[_Moments]) -> _Moments:
    """The moments of the channels of all parts, which lie along axis 1."""
    return _Moments(*(np.concatenate(columns, axis=1) for columns in zip(*parts, strict=True)))


def _spread(moments: _Moments, count: int) -> tuple[Float64, Float64, Float64, Float64]:
    """Minimum, maximum, mean and standard deviation of `count` weights."""
    mean = moments.total / count
    variance = np.where(moments.maximum > moments.minimum, np.maximum(moments.square / count - mean**2, 0), 0)
    return moments.minimum, moments.maximum, np.asarray(mean), np.sqrt(variance)


def _reader(tensor: ir.TensorProtocol) -> _Reader:
    if isinstance(tensor, ir.ExternalTensor) and tensor.dtype.itemsize >= 1:
        return functools.partial(_external_blocks, tensor)
    flat = np.asarray(tensor.numpy()).reshape(-1)  # once: of an array in a protobuf message it is a copy
    return lambda start, stop: (flat[first : min(first + _BLOCK, stop)] for first in range(start, stop, _BLOCK))


def _external_blocks(tensor: ir.ExternalTensor, start: int, stop: int) -> Iterator[NDArray[Any]]:
    """Read from the file: mapping it would keep every page that was touched resident."""
    dtype = tensor.dtype.numpy().newbyteorder("<")
    with Path(tensor.path).open("rb", buffering=0) as file:
        file.seek((tensor.offset or 0) + start * dtype.itemsize)
        for first in range(start, stop, _BLOCK):
            block = np.frombuffer(file.read(min(_BLOCK, stop - first) * dtype.itemsize), dtype)
            if first + block.size < min(first + _BLOCK, stop):
                raise ModelError(
                    f"external data of {tensor.name!r} ends before its {tensor.size} elements: {tensor.path}",
                    hint="the data file is truncated; copy it again",
                )
            yield block
