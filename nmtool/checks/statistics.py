"""Tests of hypotheses with a known rate of false alarms, in numpy alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nmtool.verbs.sweep.statistics import student_t

Float64: TypeAlias = NDArray[np.float64]

_SHAPES = 256  # coordinates that the distance of Kolmogorov and Smirnov is taken of: it is the slow one
_SMALLEST_COMPONENT = 0.05  # standard deviation, relative to that of the largest
_ZERO = 1e-300  # in the place of variances of 0
_TIES = 1e-6  # relative difference of two statistics that rounding explains


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for being several: those below alpha are rejected at a familywise error rate of alpha.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure". Any dependence is allowed.
    """
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = worst
    return adjusted


def chi_square_exceeds(value: float, freedom: int) -> float:
    """P(X > value) for a chi-square X: the finite series of Abramowitz and Stegun, 26.4.4 and 26.4.5.

    Args:
        value: not negative.
        freedom: degrees of freedom, at least 1.
    """
    if value <= 0:
        return 1.0
    half, odd = value / 2, freedom % 2
    steps = np.arange(0.5 if odd else 1.0, freedom / 2)
    terms = np.exp(np.cumsum(math.log(half) - np.log(steps)) - half - odd * math.log(math.pi * half) / 2)
    first = math.erfc(math.sqrt(half)) if odd else math.exp(-half)
    return min(1.0, first + float(terms.sum()))


def variance_p_value(squares: float, count: int) -> float:
    """Two-sided p-value of the hypothesis that `count` independent standard normals have this sum of squares."""
    above = chi_square_exceeds(squares, count)
    return min(1.0, 2 * min(above, 1 - above))


def frequencies_p_value(counts: Sequence[int], probabilities: Sequence[float]) -> float:
    """P-value of Pearson's chi-square test that `counts` come from the probabilities, which add up to 1."""
    total = sum(counts)
    expected = [total * probability for probability in probabilities]
    if any(count and not mean for count, mean in zip(counts, expected, strict=True)):
        return 0.0
    terms = [(count - mean) ** 2 / mean for count, mean in zip(counts, expected, strict=True) if mean]
    return chi_square_exceeds(sum(terms), len(terms) - 1) if len(terms) > 1 else 1.0


def one_sided_bounds(values: Sequence[float], alpha: float) -> tuple[float, float]:
    """Lower and upper bound of the mean, each wrong with probability `alpha`, by Student's t.

    Args:
        values: at least two, roughly normal.
        alpha: of each of the two.
    """
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = student_t(len(values) - 1, 1 - 2 * alpha) * error
    return mean - half, mean + half


@dataclass(frozen=True)
class TwoSample:
    """Whether two samples come from one distribution.

    Attributes:
        p_values: by name of the statistic; not adjusted for their number.
        sigma_ratio: of the second sample to the first, over all coordinates.
        resolution: standard error of that ratio, as the test of the variance sees it, where distributions are equal.
    """

    p_values: Mapping[str, float]
    sigma_ratio: float
    resolution: float


def two_sample_test(first: Float64, second: Float64, rounds: int, seed: int) -> TwoSample:
    """A permutation test over trials of the scale, the shape and the location of two samples.

    Which side a trial is on is shuffled `rounds` times. Whatever the dependence between coordinates, under the
    hypothesis every order of the trials is equally probable, so (b + 1) / (rounds + 1), with b the shuffles whose
    statistic is at least as extreme, is a valid p-value: Phipson and Smyth 2010, "Permutation p-values should never be
    zero". Coordinates are divided by their standard deviation over both samples, which shuffling does not change.

    - "variance": log of the ratio of total variances, two-sided, of the principal components of both samples together,
      each scaled to the same variance: outputs that vary together would else count as one, and hide an error of sigma.
    - "shape": two-sample distance of Kolmogorov and Smirnov, mean over coordinates.
    - "mean": norm of the difference of means.

    Args:
        first: trials by coordinates, at least 2 x 1; every coordinate varies.
        second: likewise, with the same coordinates.
        rounds: shuffles.
        seed: of the shuffles.
    """
    pooled = np.concatenate([first, second])
    pooled = (pooled - pooled.mean(axis=0)) / pooled.std(axis=0)
    generator = np.random.default_rng(seed)
    labels = np.zeros((rounds + 1, len(pooled)), bool)
    labels[0, : len(first)] = True  # the true order
    for row in labels[1:]:
        row[generator.permutation(len(pooled))[: len(first)]] = True
    components = _components(pooled, max(1, min(len(first), len(second)) // 2))
    sides = labels.astype(np.float64)
    ratios = _log_ratios(components, sides)
    measured = {
        "variance": np.abs(ratios),
        "shape": _distances(spread_out(pooled, _SHAPES), labels),
        "mean": _mean_differences(pooled, sides),
    }
    p_values = {name: float(np.mean(values >= values[0] * (1 - _TIES))) for name, values in measured.items()}
    sigma_ratio = math.exp(float(_log_ratios(pooled, sides[:1])[0]) / 2)
    # With as many components as trials all trials would be equally far out: the components take part of the ratio.
    seen = 1 - components.shape[1] / len(pooled)
    return TwoSample(p_values, sigma_ratio, float(ratios[1:].std()) / 2 / seen)


def spread_out(values: Float64, most: int) -> Float64:
    """At most `most` of the columns, evenly spread over all."""
    count = values.shape[1]
    columns = np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))
    chosen: Float64 = values[:, columns]
    return chosen


def _components(pooled: Float64, most: int) -> Float64:
    """The largest principal components, of variance 1, trials by components; those near rounding are left out."""
    directions, sizes, _ = np.linalg.svd(pooled, full_matrices=False)
    count = min(most, int((sizes > _SMALLEST_COMPONENT * sizes[0]).sum()))
    components: Float64 = directions[:, :count] * math.sqrt(len(pooled))
    return components


def _log_ratios(pooled: Float64, sides: Float64) -> Float64:
    """For each order, log of the ratio of total variances, second to first."""
    size = int(sides[0].sum())
    other, squares = len(pooled) - size, np.square(pooled).sum(axis=1)
    means = _means(pooled, sides)
    first = sides @ squares - size * np.square(means).sum(axis=1)
    second = squares.sum() - sides @ squares - size**2 / other * np.square(means).sum(axis=1)
    ratios: Float64 = np.log(np.maximum(second, _ZERO) / np.maximum(first, _ZERO) * (size - 1) / (other - 1))
    return ratios


def _mean_differences(pooled: Float64, sides: Float64) -> Float64:
    """For each order, the norm of the difference of means."""
    size = int(sides[0].sum())
    norms: Float64 = np.linalg.norm(_means(pooled, sides), axis=1) * (1 + size / (len(pooled) - size))
    return norms


def _means(pooled: Float64, sides: Float64) -> Float64:
    """For each order, the mean of the first side; that of the other is opposite, as the mean of both is 0."""
    return sides @ pooled / int(sides[0].sum())


def _distances(pooled: Float64, labels: NDArray[np.bool_]) -> Float64:
    """For each order, the distance of Kolmogorov and Smirnov, mean over coordinates."""
    size, count = int(labels[0].sum()), len(pooled)
    steps = np.where(labels.T, np.float32(1 / size), np.float32(-1 / (count - size)))
    total: Float64 = np.zeros(len(labels))
    for column in pooled.T:
        order = np.argsort(column, kind="stable")
        walk = np.cumsum(steps[order], axis=0)
        ends = np.append(np.diff(column[order]) > 0, True)  # equal values step together
        walk = walk if ends.all() else walk[ends]
        total += np.maximum(walk.max(axis=0), -walk.min(axis=0))
    total /= pooled.shape[1]
    return total
