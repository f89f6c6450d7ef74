"""What a sweep measures: the grid of noise levels, and the points on it."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from nmtool.errors import UsageError

_MOST = 10_000  # noise levels; more is a slip of the pen


@dataclass(frozen=True)
class Point:
    """One evaluation: a model at a noise level with one noise sample.

    Attributes:
        model: label of the model.
        eta: noise level, in the unit of the model's noise.
        trial: which noise sample.
    """

    model: str
    eta: float
    trial: int


def parse_etas(etas: str | Iterable[float]) -> tuple[float, ...]:
    """The noise levels in increasing order, each once.

    Args:
        etas: numbers, or a text with commas between numbers and ranges `start:stop:step`. A range includes its stop
            when a whole number of steps leads there, counted in decimal: "0:0.1:0.01" has eleven levels.

    Raises:
        UsageError: a level is negative or not a number, or there is none.
    """
    levels = itertools.chain.from_iterable(map(_range, etas.split(","))) if isinstance(etas, str) else map(float, etas)
    listed = sorted(set(itertools.islice(levels, _MOST + 1)))
    if len(listed) > _MOST:
        raise UsageError(f"more than {_MOST} noise levels", hint="a range is start:stop:step")
    if not listed:
        raise UsageError("no noise levels", hint="give for instance 0:0.1:0.01")
    for level in listed:
        if not math.isfinite(level) or level < 0:
            raise UsageError(f"a noise level is a finite number that is not negative, not {level}")
    return tuple(level + 0.0 for level in listed)  # -0.0 becomes 0.0


def points(models: Iterable[str], etas: Iterable[float], trials: int) -> list[Point]:
    """The evaluations of a sweep, in the order they are made.

    Each model begins with its clean value: without noise every trial is the same, so level 0 is evaluated once, and
    always, because tolerances refer to it. Then trial by trial over all levels, so that what an interrupted sweep
    leaves covers the grid.

    Raises:
        UsageError: fewer than one trial.
    """
    if trials < 1:
        raise UsageError(f"trials must be at least 1, not {trials}")
    noisy = [eta for eta in etas if eta > 0]
    return [
        point
        for model in models
        for point in (
            Point(model, 0.0, 0),
            *(Point(model, eta, trial) for trial, eta in itertools.product(range(trials), noisy)),
        )
    ]


def _range(text: str) -> Iterator[float]:
    try:
        numbers = [Decimal(part.strip()) for part in text.split(":")]
    except InvalidOperation as error:
        raise UsageError(f"not a noise level or a range: {text!r}", hint="a range is start:stop:step") from error
    if not all(number.is_finite() for number in numbers):
        raise UsageError(f"noise levels must be finite: {text!r}")
    if len(numbers) == 1:
        yield float(numbers[0])
        return
    if len(numbers) != 3:
        raise UsageError(f"not a range: {text!r}", hint="a range is start:stop:step")
    start, stop, step = numbers
    if step <= 0 or stop < start:
        raise UsageError(f"a range goes up from start to stop in positive steps: {text!r}")
    for index in itertools.count():
        level = start + index * step
        if level > stop:
            return
        yield float(level)
