"""From samples as stored to arrays as the model wants them: axis order, values, type."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmtool.backends import Array, Port
from nmtool.data.options import DataOptions, Layout
from nmtool.data.sources import Samples
from nmtool.errors import UsageError

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class _Arrangement:
    """A way to order the axes: the function, the shape it gives, and the channel axis afterwards."""

    apply: Callable[[Array], Array]
    shape: tuple[int, ...]
    channel_axis: int


@dataclass(frozen=True)
class Preparation:
    """What is done to one input's samples before they are fed.

    Attributes:
        port: the model's input.
        options: how values change.
        where: name of the source, for messages.
        arrangement: how axes change.
    """

    port: Port
    options: DataOptions
    where: str
    arrangement: _Arrangement

    @classmethod
    def plan(cls, port: Port, samples: Samples, options: DataOptions, layout: Layout, where: str) -> "Preparation":
        """Find out how samples get into the port.

        Raises:
            UsageError: their shape or type does not fit; the message has both.
        """
        fitting = [way for way in _arrangements(samples.shape, port, layout) if _fits(way.shape, port)]
        if not fitting or not _casts(samples.dtype, port.dtype):
            raise _mismatch(port, samples, where)
        plan = cls(port, options, where, fitting[0])
        plan._check_channels()
        return plan

    def __call__(self, samples: Array, numbers: Sequence[int] | Array) -> Array:
        """Prepare some samples.

        Args:
            samples: as stored, samples first.
            numbers: of the samples in the data set, for messages.

        Raises:
            UsageError: a value is NaN or infinite.
        """
        dtype = self.port.dtype
        array = self.arrangement.apply(np.asarray(samples))
        if dtype is not None and dtype.kind == "f":
            if self.options.rescales:
                working = np.promote_types(dtype, np.float32)
                mean, std = (self._per_channel(values, working) for values in (self.options.mean, self.options.std))
                array = (array.astype(working) * working.type(self.options.scale) - mean) / std
            with np.errstate(over="ignore"):  # what overflows is found below
                array = array.astype(dtype)
            bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
            if bad.size:
                raise UsageError(f"sample {numbers[bad[0]]} of {self.where} is not finite in input {self.port.name!r}")
        return np.ascontiguousarray(array, dtype)

    @property
    def image_axis(self) -> int | None:
        """Axis of the channels where floating images [N, C, H, W] or [N, H, W, C] are fed, else None."""
        images = len(self.arrangement.shape) == 4 and self.port.dtype is not None and self.port.dtype.kind == "f"
        return self.arrangement.channel_axis if images else None

    def _per_channel(self, values: tuple[float, ...], dtype: np.dtype[Any]) -> Array:
        shape = [1] * len(self.arrangement.shape)
        shape[self.arrangement.channel_axis] = -1
        return np.array(values, dtype).reshape(shape)

    def _check_channels(self) -> None:
        for name, values in (("mean", self.options.mean), ("std", self.options.std)):
            if len(values) == 1:
                continue
            shape, axis = self.arrangement.shape, self.arrangement.channel_axis
            if axis >= len(shape) or shape[axis] != len(values):
                raise UsageError(f"{name} has {len(values)} numbers, input {self.port.name!r} gets {list(shape)}")


def exactly(port: Port, samples: Samples, where: str) -> Array:
    """An array that is fed as it is, in the type of the port.

    Raises:
        UsageError: its shape, the first axis included, or its type does not fit.
    """
    fits_first = not port.shape or not samples.shape or port.shape[0] in (None, samples.shape[0])
    if not _fits(samples.shape, port) or not fits_first or not _casts(samples.dtype, port.dtype):
        raise _mismatch(port, samples, where)
    return np.asarray(samples, port.dtype)


def channel_axis(shape: tuple[int | None, ...] | None) -> int:
    """Axis of the channels in a model's images: 1, or 3 where only that has 1, 3 or 4 entries."""
    if shape is not None and len(shape) == 4 and shape[1] not in _CHANNELS and shape[3] in _CHANNELS:
        return 3
    return 1


def _arrangements(shape: tuple[int, ...], port: Port, layout: Layout) -> list[_Arrangement]:
    as_is_axis = 3 if layout == "nhwc" else 1 if layout == "nchw" else channel_axis(port.shape)
    as_is = _Arrangement(lambda array: array, shape, as_is_axis if len(shape) == 4 else 1)
    if len(shape) == 3:  # grey images without a channel axis
        return [as_is, _with_axis(shape, 1), _with_axis(shape, 3)]
    if len(shape) != 4:
        return [as_is]
    n, a, b, c = shape
    to_nchw = _Arrangement(lambda array: array.transpose(0, 3, 1, 2), (n, c, a, b), 1)
    to_nhwc = _Arrangement(lambda array: array.transpose(0, 2, 3, 1), (n, b, c, a), 3)
    if layout == "nhwc":
        return [to_nchw, as_is]
    return [as_is, to_nhwc] if layout == "nchw" else [as_is, to_nchw, to_nhwc]


def _with_axis(shape: tuple[int, ...], axis: int) -> _Arrangement:
    return _Arrangement(lambda array: np.expand_dims(array, axis), (*shape[:axis], 1, *shape[axis:]), axis)


def _fits(shape: tuple[int, ...], port: Port) -> bool:
    """Whether samples of a shape fit, the first axis aside."""
    if port.shape is None:
        return True
    if len(shape) != len(port.shape):
        return False
    return all(want in (None, have) for want, have in zip(port.shape[1:], shape[1:], strict=True))


def _casts(have: np.dtype[Any], want: np.dtype[Any] | None) -> bool:
    if want is None:
        return False
    return np.can_cast(have, want, "same_kind") or (have.kind in "iu" and want.kind in "iu")


def _mismatch(port: Port, samples: Samples, where: str) -> UsageError:
    have = f"{samples.dtype} [{', '.join(map(str, samples.shape))}]"
    return UsageError(f"input {port.name!r} takes {port}, {where} has {have}")
