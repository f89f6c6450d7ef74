"""How much noise a model bears: the largest level at which the metric is within a given drop of the clean value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Float64: TypeAlias = NDArray[np.float64]

_REPLICATES = 2000
_SEED = 20260101  # of the bootstrap: equal results give equal intervals


@dataclass(frozen=True)
class Tolerance:
    """A noise level eta*.

    Attributes:
        drop: the accepted loss, in units of the metric.
        eta: the noise level, in units of the grid.
        low: lower end of its 95 % interval, None where there are fewer than two trials.
        high: upper end.
        beyond_grid: the metric stays within the drop on the whole grid: eta is the largest level measured, and a
            lower bound. Likewise `high`, when it equals that level.
    """

    drop: float
    eta: float
    low: float | None
    high: float | None
    beyond_grid: bool


def tolerance(
    etas: Sequence[float], values: Float64, drop: float, higher_is_better: bool, reference: float | None = None
) -> Tolerance:
    """Find eta*: where the mean metric leaves the band of `drop` around the reference; 0 if it never is in it.

    The means are first made monotone (isotonic regression: a mean that recovers at a higher level is pooled with its
    neighbours), then joined by straight lines. The 95 % interval is a percentile bootstrap over trials; a trial is
    drawn with all its levels, because they share their noise sample up to the scale.

    Args:
        etas: noise levels [levels], increasing, the first 0.
        values: the metric, float64 [trials, levels]; the first column is the clean value.
        drop: accepted loss, not negative.
        higher_is_better: the direction of the metric.
        reference: what the drop is from; None: the clean value.
    """
    levels = np.asarray(etas, np.float64)
    goodness = values if higher_is_better else -values
    start = goodness[0, 0] if reference is None else reference if higher_is_better else -reference
    limit = start - drop
    eta = _crossing(levels, goodness.mean(axis=0), limit)
    trials = len(values)
    if trials < 2:
        return Tolerance(drop, eta, None, None, bool(eta == levels[-1]))
    draws = np.random.default_rng(_SEED).integers(trials, size=(_REPLICATES, trials))
    replicates = [_crossing(levels, goodness[draw].mean(axis=0), limit) for draw in draws]
    low, high = np.quantile(replicates, [0.025, 0.975])
    return Tolerance(drop, eta, float(low), float(high), bool(eta == levels[-1]))


def _crossing(levels: Float64, means: Float64, limit: float) -> float:
    """The level at which the decreasing fit of `means` goes below `limit`; the last level if it never does."""
    fit = decreasing(np.where(np.isnan(means), -np.inf, means))
    below = np.flatnonzero(fit < limit)
    if below.size == 0:
        return float(levels[-1])
    if below[0] == 0:
        return float(levels[0])
    before, after = below[0] - 1, below[0]
    share = (fit[before] - limit) / (fit[before] - fit[after])
    return float(levels[before] + share * (levels[after] - levels[before]))


def decreasing(values: Float64) -> Float64:
    """The non-increasing sequence closest to `values` in the least-squares sense: pool adjacent violators."""
    pools: list[tuple[float, int]] = []
    for value in values:
        total, count = float(value), 1
        while pools and pools[-1][0] / pools[-1][1] < total / count:
            before, members = pools.pop()
            total, count = total + before, count + members
        pools.append((total, count))
    return np.repeat([total / count for total, count in pools], [count for _, count in pools])
