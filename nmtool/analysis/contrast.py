"""A lower bound of the information in values of many dimensions: InfoNCE with a critic in closed form."""

import math

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_EXPONENTS = np.linspace(-6, 1, 57)  # of 10: temperatures that are tried
_FLOOR = 1e-12  # smallest variance, relative to that of the values


def contrast_bound(values: Float64) -> float:
    """A lower bound in bits of I(X; Y) for read noise, from draws of Y for each of finitely many values of X.

        I(X; Y) >= log N + E log softmax_x(T f(x, y))

    (van den Oord, Li, Vinyals 2018, arXiv:1807.03748; with all N values of X as negatives it is the bound of Barber and
    Agakov 2003, with that softmax as the guess of x.) It holds for any critic f and temperature T that do not depend on
    the draws which it is evaluated on. Here f is the logarithm of a normal density whose mean is that of the first half
    of the draws of x and whose variances, one for each dimension, are those of the same half about the means; T is
    chosen on the third quarter, and the last quarter is what counts. It never exceeds log2(N).

    Args:
        values: of Y [draws, samples, dimensions], at least 8 draws. Samples may share the noise of a draw.
    """
    draws, samples = values.shape[:2]
    if samples < 2:
        return 0.0
    fit, tune = draws // 2, draws // 4
    first = values[:fit]
    means = first.mean(axis=0)
    variances = np.square(first - means).sum(axis=(0, 1)) / max((fit - 1) * samples, 1)
    floor = _FLOOR * values.var()
    kept = variances > floor
    if not kept.any():
        return math.log2(samples) if _tells_apart(means) else 0.0
    scale = 1 / np.sqrt(variances[kept])
    means = means[:, kept] * scale
    tuning, testing = (
        np.concatenate([_critic(draw[:, kept] * scale, means) for draw in part])
        for part in (values[fit : fit + tune], values[fit + tune :])
    )
    target = np.tile(np.arange(samples), len(values))
    best = max(10.0**_EXPONENTS, key=lambda t: _log_guess(t * tuning, target[: len(tuning)]))
    return max(0.0, math.log2(samples) + _log_guess(best * testing, target[: len(testing)]) / math.log(2))


def _critic(y: Float64, means: Float64) -> Float64:
    """- |y - mean|^2 / 2 for all pairs [values of y, values of x]."""
    return np.asarray(y @ means.T - np.square(means).sum(axis=1) / 2 - np.square(y).sum(axis=1, keepdims=True) / 2)


def _log_guess(scores: Float64, target: NDArray[np.int64]) -> float:
    peak = scores.max(axis=1, keepdims=True)
    logs = scores - peak - np.log(np.exp(scores - peak).sum(axis=1, keepdims=True))
    return float(np.take_along_axis(logs, target[:, None], axis=1).mean())


def _tells_apart(means: Float64) -> bool:
    return len(np.unique(means, axis=0)) == len(means)
