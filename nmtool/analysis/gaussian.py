"""Information through layers with Gaussian noise, whose outputs are normal for each input.

A matrix product y = W x with noise N(0, std^2) on each weight is such a layer: for a given x, the outputs are
independent normals of variance sum_i std_i^2 x_i^2. With x from finitely many samples, y is a mixture of normals.
"""

import math

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def product_variances(x: Float64, std: Float64) -> Float64:
    """Variances of the outputs of x W for independent noise of deviation `std` on the elements of W.

    Args:
        x: inputs [samples, inputs].
        std: standard deviations [inputs, outputs].

    Returns:
        [samples, outputs].
    """
    return np.asarray(np.square(x) @ np.square(std))


def mixture_bounds(means: Float64, variances: Float64) -> tuple[float, float]:
    """Bounds in bits of I(X; Y) for Y | x normal with independent elements, from distances of pairs.

        - mean_i log mean_j exp(-D(i, j))

    is a lower bound for the distances of Bhattacharyya, and an upper bound for the divergences of Kullback and Leibler
    (Kolchinsky and Tracey 2017, "Estimating mixture entropy with pairwise distances", equations 10 and 11).

    Args:
        means: of Y for each value of X [samples, outputs].
        variances: > 0, broadcastable to the same shape.

    Returns:
        The lower and the upper bound; neither is above log2(samples).
    """
    variances = np.broadcast_to(variances, means.shape)
    low, high = [], []
    for mean, variance in zip(means, variances, strict=True):
        gap, middle = np.square(means - mean), (variances + variance) / 2
        ratio = np.log(middle) - (np.log(variances) + np.log(variance)) / 2
        bhattacharyya = (gap / middle / 8 + ratio / 2).sum(axis=1)
        leibler = ((variance + gap) / variances - 1 + np.log(variances) - np.log(variance)).sum(axis=1) / 2
        low.append(-_log_mean_exp(-bhattacharyya))
        high.append(-_log_mean_exp(-leibler))
    return float(np.mean(low) / math.log(2)), float(np.mean(high) / math.log(2))


def mixture_information(means: Float64, variances: Float64, draws: int, seed: int) -> float:
    """The same information by Monte-Carlo: the mean over draws of log p(y | x) - log p(y), in bits.

    Args:
        means: of Y for each value of X [samples, outputs].
        variances: > 0, broadcastable to the same shape.
        draws: of Y, for each value of X.
        seed: of the draws.
    """
    variances = np.broadcast_to(variances, means.shape)
    rng = np.random.default_rng(seed)
    total = 0.0
    for index, (mean, variance) in enumerate(zip(means, variances, strict=True)):
        y = mean + np.sqrt(variance) * rng.standard_normal((draws, means.shape[1]))
        logs = -((np.square(y[:, None] - means) / variances + np.log(variances)).sum(axis=2)) / 2
        total += float((logs[:, index] - _log_mean_exp(logs)).mean())
    return total / len(means) / math.log(2)


def gaussian_bound(means: Float64, variance: float) -> float:
    """The information in bits if Y were normal: 1/2 log2 det(I + Cov(means) / variance), an upper bound.

    Args:
        means: of Y for each value of X [samples, outputs].
        variance: of Y for each value of X, the same for all.
    """
    covariance = np.atleast_2d(np.cov(means.T, bias=True))
    return float(np.linalg.slogdet(np.eye(len(covariance)) + covariance / variance)[1] / 2 / math.log(2))


def _log_mean_exp(values: Float64) -> Float64:
    """The logarithm of the mean of exp along the last axis."""
    peak = values.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(values - peak).mean(axis=-1)) + peak[..., 0])
