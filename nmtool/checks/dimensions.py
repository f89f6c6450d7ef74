"""The dimensions that a model leaves open, and inputs of other sizes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from nmtool.backends import Array

_BATCH_NAMES = re.compile(r"n|b|bs|.*batch.*", re.IGNORECASE)


@dataclass(frozen=True)
class Dimension:
    """A dimension without a number, wherever the inputs have it: its sizes must agree.

    Attributes:
        name: its symbol, or `input[axis]` where it has none.
        places: names of inputs and axes of these.
        batch: whether it counts samples.
    """

    name: str
    places: tuple[tuple[str, int], ...]
    batch: bool

    def size(self, feeds: Mapping[str, Array]) -> int:
        """Its size in some feeds."""
        name, axis = self.places[0]
        return int(feeds[name].shape[axis])

    def resized(self, feeds: Mapping[str, Array], size: int) -> dict[str, Array]:
        """The feeds with another size of the dimension: what is there is cut off or repeated."""
        changed = dict(feeds)
        for name, axis in self.places:
            array = changed[name]
            changed[name] = np.take(array, np.arange(size) % array.shape[axis], axis=axis)
        return changed

    def sample(self, feeds: Mapping[str, Array], index: int) -> dict[str, Array]:
        """The feeds with one entry of the dimension alone."""
        changed = dict(feeds)
        for name, axis in self.places:
            changed[name] = np.take(changed[name], [index], axis=axis)
        return changed


def open_dimensions(model: ir.Model) -> list[Dimension]:
    """The dimensions of the inputs that have no number, that of the batch first.

    The batch is what is called so ("batch…", "N", "B"); where nothing is, the first dimension of the first input that
    has an open one there. With it go the first dimensions without a symbol.
    """
    places: dict[str, list[tuple[str, int]]] = {}
    for value in model.graph.inputs:
        if value.is_initializer():
            continue
        for axis, dim in enumerate(value.shape or ()):
            if not isinstance(dim, int) or dim < 0:
                symbol = None if isinstance(dim, int) else dim.value
                places.setdefault(symbol or f"{value.name}[{axis}]", []).append((value.name or "", axis))
    batch = [name for name in places if _BATCH_NAMES.fullmatch(name)]
    first = [name for name, where in places.items() if where[0][1] == 0]
    batch += [name for name in first if name == f"{places[name][0][0]}[0]" or (not batch and name == first[0])]
    together = tuple(place for name in places if name in batch for place in places[name])
    found = [Dimension(next(name for name in places if name in batch), together, True)] if batch else []
    return found + [Dimension(name, tuple(where), False) for name, where in places.items() if name not in batch]


def batch_dimension(model: ir.Model) -> Dimension | None:
    """That of the samples, where it is open."""
    return next((dimension for dimension in open_dimensions(model) if dimension.batch), None)


def joined(whole: Array, parts: Sequence[Array]) -> Array | None:
    """The parts, joined along the axis in which they are the whole; None where there is no such axis."""
    return next(_joinings(whole, parts), None)


def _joinings(whole: Array, parts: Sequence[Array]) -> Iterator[Array]:
    if len({part.ndim for part in parts} | {whole.ndim}) > 1:
        return
    for axis in range(whole.ndim):
        others = {part.shape[:axis] + part.shape[axis + 1 :] for part in (whole, *parts)}
        if len(others) == 1 and sum(part.shape[axis] for part in parts) == whole.shape[axis]:
            yield np.concatenate(parts, axis=axis)
