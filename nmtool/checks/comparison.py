"""What is measured when one run's outputs are compared with another's."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmtool.backends import Array
from nmtool.difference import difference, is_real, largest_difference


@dataclass(frozen=True)
class Comparison:
    """An output of one run against the same output of another.

    Attributes:
        output: its name.
        relative: see `nmtool.difference.difference`: relative to the largest value; the share of elements that differ
            where they are integers or booleans.
        max_abs: largest difference; None where the elements are no real numbers, or the shapes differ.
        cosine: of all values as one vector; None as for max_abs, and where a value is not finite.
        top1: share of positions where the largest entry along the last axis is the same one; None for what cannot be
            scores by class: less than two entries, or more than three axes.
        real: whether the elements are real numbers, or codes of them.
    """

    output: str
    relative: float
    max_abs: float | None
    cosine: float | None
    top1: float | None
    real: bool

    def __str__(self) -> str:
        if not self.real:
            return f"{self.relative:.2%} of the elements of {self.output!r} differ"
        parts = [f"max abs {_or_shapes(self.max_abs)}", f"relative {self.relative:.2g}"]
        if self.cosine is not None:
            parts.append(f"cosine {self.cosine:.7f}")
        if self.top1 is not None:
            parts.append(f"top-1 agreement {self.top1:.2%}")
        return f"{self.output!r}: " + ", ".join(parts)

    def facts(self) -> dict[str, Any]:
        """The figures, JSON-serializable: "inf" where one is not finite."""
        return {key: str(value) if _infinite(value) else value for key, value in vars(self).items() if key != "real"}


def compare(outputs: Sequence[str], have: Sequence[Array], want: Sequence[Array]) -> list[Comparison]:
    """Compare two runs.

    Args:
        outputs: names of the outputs.
        have: what they are.
        want: what they should be.
    """
    return [_compare(name, a, b) for name, a, b in zip(outputs, have, want, strict=True)]


def disagreeing(comparisons: Iterable[Comparison], tolerance: float) -> list[Comparison]:
    """The outputs that differ by more than the tolerance, the worst first.

    Integers and booleans count only where there are no real numbers: rounding alone can move an argmax.
    """
    found = list(comparisons)
    judged = [each for each in found if each.real] or found
    return sorted((each for each in judged if each.relative > tolerance), key=lambda each: -each.relative)


def worst(comparisons: Iterable[Comparison]) -> Comparison:
    """The one with the largest relative difference; of real numbers, where there are any."""
    return max(comparisons, key=lambda each: (each.real, each.relative))


def _compare(name: str, have: Array, want: Array) -> Comparison:
    real = is_real(want)
    relative = difference(have, want)
    if not real or have.shape != want.shape:
        return Comparison(name, relative, None, None, None, real)
    wide, target = have.astype(np.float64), want.astype(np.float64)
    scores = want.ndim in (2, 3) and want.shape[-1] > 1 and want.size > 0
    top1 = float(np.mean(wide.argmax(axis=-1) == target.argmax(axis=-1))) if scores else None
    return Comparison(name, relative, largest_difference(have, want), _cosine(wide, target), top1, real)


def _cosine(a: Array, b: Array) -> float | None:
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norms == 0:
        return 1.0 if np.array_equal(a, b) else 0.0
    return float(np.vdot(a, b) / norms)


def _or_shapes(value: float | None) -> str:
    return "unknown (the shapes differ)" if value is None else f"{value:.2g}"


def _infinite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
