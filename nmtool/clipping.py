"""Clipping of weights to a multiple of their standard deviation.

A few outliers decide the range of an array, and with it the noise of all its weights.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmtool.noise.base import Float64, WeightStatistics


def limits(weights: WeightStatistics, k: float) -> Float64:
    """The largest magnitude that a clipped weight may have (Joshi et al. 2020, doi 10.1038/s41467-020-16108-9).

        |w| <= k std(W)

    Args:
        weights: statistics of the whole array, or of each output channel.
        k: how many standard deviations, without unit, > 0.

    Returns:
        Of the statistics' shape, in weight units; infinite where all weights are equal, since those have no outliers.
    """
    return np.where(weights.std > 0, k * weights.std, np.inf)


def clipped(values: NDArray[Any], limits: Float64) -> NDArray[Any]:
    """The values between -limits and limits, of the same type; `limits` broadcasts to them and is rounded to it."""
    with np.errstate(over="ignore"):  # a limit beyond the type's range is none
        bound = limits.astype(values.dtype)
    return np.asarray(np.maximum(np.minimum(values, bound), -bound))
