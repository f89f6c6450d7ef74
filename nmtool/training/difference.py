"""How far the outputs of two runtimes are apart."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOOR = 1e-6
"""Absolute difference that is always allowed: runtimes approximate sigmoids near 0 that well."""


def difference(have: NDArray[Any], want: NDArray[Any]) -> float:
    """The largest difference, relative to the largest value that is wanted.

    Args:
        have: values of any type.
        want: what they should be.

    Returns:
        max |have - want| / max |want|, where differences up to 1e-6 are none. Equal infinities and NaN at the same
        places are no difference; NaN, infinities at other places, and another shape are an infinite one.
        For integers and booleans, the share of elements that differ.
    """
    if have.shape != want.shape:
        return float("inf")
    if not is_floating(want):
        return float(np.mean(have != want)) if want.size else 0.0
    have, want = have.astype(np.float64), want.astype(np.float64)
    compared = ~((have == want) | (np.isnan(have) & np.isnan(want)))
    if not compared.any():
        return 0.0
    with np.errstate(invalid="ignore"):
        largest = np.abs(have[compared] - want[compared]).max()
    if not np.isfinite(largest):
        return float("inf")
    if largest <= _FLOOR:
        return 0.0
    size = np.abs(want[np.isfinite(want)]).max(initial=0.0)
    return float(largest / size) if size > 0 else float("inf")


def is_floating(values: NDArray[Any]) -> bool:
    """Whether the values are real numbers, of any precision; those of bfloat16 are of a kind unknown to numpy."""
    return values.dtype.kind in "fV"
