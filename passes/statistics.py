"""Statistics of weight arrays, in bounded memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.errors import ModelError
from nmtool.noise.base import WeightStatistics

_CHUNK_BYTES = 16 << 20


def statistics(
    tensor: ir.TensorProtocol, name: str, channel_axis: int | None = None, groups: int = 1
) -> WeightStatistics:
    """Minimum, maximum, mean and standard deviation of a float tensor, in float64.

    Args:
        tensor: at least one element. External data is read in chunks and never held as a whole.
        name: the array's name, for messages.
        channel_axis: axis of the output channels, for statistics per channel; None for the whole tensor.
        groups: the first axis is split in this many groups that do not share channels (a grouped ConvTranspose).

    Raises:
        ModelError: a weight is NaN or infinite.
    """
    if channel_axis is not None:
        return _per_channel(tensor, name, channel_axis, groups)
    count, minimum, maximum, total, square = 0, np.inf, -np.inf, 0.0, 0.0
    for chunk in chunks(tensor):
        values = _finite(chunk, name)
        count += values.size
        minimum, maximum = min(minimum, values.min()), max(maximum, values.max())
        total, square = total + values.sum(), square + np.square(values).sum()
    mean = total / count
    variance = max(square / count - mean**2, 0.0) if maximum > minimum else 0.0
    return WeightStatistics(*(np.asarray(x, np.float64) for x in (minimum, maximum, mean, np.sqrt(variance))))


def _per_channel(tensor: ir.TensorProtocol, name: str, axis: int, groups: int) -> WeightStatistics:
    """The same for each channel, a few rows of the first axis at a time."""
    weights = np.asarray(tensor.numpy())
    split = weights.reshape(groups, weights.shape[0] // groups, *weights.shape[1:])
    axes = tuple(a for a in range(split.ndim) if a not in (0, axis + 1))
    shape = tuple(1 if a in axes else n for a, n in enumerate(split.shape))
    minimum, maximum = np.full(shape, np.inf), np.full(shape, -np.inf)
    total, square = np.zeros(shape), np.zeros(shape)
    rows = max(1, _CHUNK_BYTES * split.shape[1] // weights.nbytes)
    for start in range(0, split.shape[1], rows):
        part = slice(start, start + rows)
        values = _finite(split[:, part], name)
        here = (slice(None), part if axis == 0 else slice(None))
        minimum[here] = np.minimum(minimum[here], values.min(axes, keepdims=True))
        maximum[here] = np.maximum(maximum[here], values.max(axes, keepdims=True))
        total[here] += values.sum(axes, keepdims=True)
        square[here] += np.square(values).sum(axes, keepdims=True)
    count, per_group = split.size / total.size, split.shape[1]
    del weights, split
    if isinstance(tensor, ir.ExternalTensor):
        tensor.release()  # else the pages of every array stay resident
    mean = total / count
    std = np.sqrt(np.where(maximum > minimum, np.maximum(square / count - mean**2, 0), 0))
    spread = (np.repeat(x, per_group if groups > 1 else 1, axis=1) for x in (minimum, maximum, mean, std))
    return WeightStatistics(*(x.reshape(-1, *shape[2:]) for x in spread))


def chunks(tensor: ir.TensorProtocol) -> Iterator[NDArray[Any]]:
    """The tensor's elements in storage order, as flat arrays of a few megabytes.

    External data is read from its file: mapping it would keep every page that was touched resident.
    """
    if isinstance(tensor, ir.ExternalTensor) and tensor.dtype.itemsize >= 1:
        dtype = tensor.dtype.numpy().newbyteorder("<")
        remaining = tensor.size
        with Path(tensor.path).open("rb") as file:
            file.seek(tensor.offset or 0)
            while remaining:
                chunk = np.frombuffer(file.read(min(_CHUNK_BYTES, remaining * dtype.itemsize)), dtype)
                if not chunk.size:
                    raise ModelError(
                        f"external data of {tensor.name!r} ends before its {tensor.size} elements: {tensor.path}",
                        hint="the data file is truncated; copy it again",
                    )
                remaining -= chunk.size
                yield chunk
        return
    flat = np.asarray(tensor.numpy()).reshape(-1)
    step = _CHUNK_BYTES // max(flat.itemsize, 1)
    for start in range(0, flat.size, step):
        yield flat[start : start + step]


def _finite(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    doubles = values.astype(np.float64)
    bad = doubles.size - int(np.isfinite(doubles).sum())
    if bad:
        raise ModelError(
            f"weights {name!r} hold NaN or infinite values: {bad} of {doubles.size} in one part",
            hint="repair the model, or keep the node that uses them digital with --exclude",
        )
    return doubles
