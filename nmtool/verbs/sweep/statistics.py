"""Mean, spread and confidence of repeated trials."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """The trials at one noise level.

    Attributes:
        trials: how many.
        mean: of the metric.
        std: sample standard deviation over trials (n - 1), None for a single trial.
        low: lower end of the 95 % interval of the mean, None for a single trial.
        high: upper end.
    """

    trials: int
    mean: float
    std: float | None
    low: float | None
    high: float | None


def summarize(values: Sequence[float]) -> Summary:
    """Mean and its 95 % interval by Student's t over the trials.

    The interval is about the noise: where the mean over all noise samples lies, for this data set. It does not cover
    the choice of the data.

    Args:
        values: the metric of each trial, at least one.
    """
    mean = statistics.fmean(values)
    if len(values) < 2 or not math.isfinite(mean):
        return Summary(len(values), mean, None, None, None)
    std = statistics.stdev(values)
    half = student_t(len(values) - 1) * std / math.sqrt(len(values))
    return Summary(len(values), mean, std, mean - half, mean + half)


def student_t(freedom: int, confidence: float = CONFIDENCE) -> float:
    """The t for which P(|T| <= t) = confidence, by bisection on the exact distribution function."""
    low, high = 0.0, math.pi / 2
    while (middle := (low + high) / 2) not in (low, high):
        if _central_probability(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def _central_probability(angle: float, freedom: int) -> float:
    """P(|T| <= t) for t = sqrt(freedom) tan(angle): the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= math.cos(angle) ** 2 * k / (k + 1)
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
