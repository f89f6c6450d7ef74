"""Charts as numbers from 0 to 100 that the templates draw: the same SVG at every width, in light and in dark.

Text is HTML beside the SVG, so that it never scales with the plot.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nmtool.verbs.report.figures import figure

_TICKS = 5  # about as many
_COLORS = 6  # of the style sheet


@dataclass(frozen=True)
class Tick:
    """A label on an axis, and where it is in percent."""

    at: float
    label: str


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low` to `high`.

    Attributes:
        title: what it shows.
        step: the distance of ticks.
        factor: what values are multiplied with for the labels: 100 for percent.
    """

    title: str
    low: float
    high: float
    step: float
    factor: float = 1.0

    @classmethod
    def over(cls, title: str, values: Iterable[float | None], factor: float = 1.0, zero: bool = False) -> "Axis":
        """An axis that begins and ends with ticks and holds all finite values, and 0 if wanted."""
        low, high = _ends(values, zero)
        step = _step(low, high)
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        return cls(title, low, high if high > low else low + step, step, factor)

    @classmethod
    def of_bars(cls, title: str, values: Iterable[float | None], factor: float = 1.0) -> "Axis":
        """An axis without ticks from 0 to the last value, or from the least one where that is negative."""
        low, high = _ends(values, zero=True)
        return cls(title, low, high if high > low else low + 1.0, high - low, factor)

    def at(self, value: float) -> float:
        """Where a value is, in percent."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    @property
    def ticks(self) -> list[Tick]:
        """Round numbers from end to end."""
        first, last = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        digits = max(0, -math.floor(math.log10(self.step * self.factor) + 1e-9))
        values = [k * self.step for k in range(first, last + 1)]
        return [Tick(self.at(value), f"{value * self.factor + 0.0:,.{digits}f}") for value in values]


@dataclass(frozen=True)
class Point:
    """A value with its interval, if it has one."""

    x: float
    y: float | None
    low: float | None = None
    high: float | None = None

    @property
    def drawn(self) -> bool:
        """Whether there is anything to draw."""
        return self.y is not None and math.isfinite(self.y)


@dataclass(frozen=True)
class Mark:
    """A vertical line at `x` with what it says, of the color of a curve."""

    x: float
    label: str
    color: int


@dataclass(frozen=True)
class Curve:
    """A named sequence of points; `markers` where each was measured, none for dense ones."""

    name: str
    points: Sequence[Point]
    color: int = 0
    markers: bool = True


@dataclass(frozen=True)
class Limit:
    """A horizontal line."""

    y: float
    label: str


@dataclass(frozen=True)
class LineChart:
    """Curves over two axes.

    Attributes:
        title: what it shows.
        summary: the same for those who do not see it, with the main figures.
        categories: labels of the places 0, 1, … on an axis that has no numbers.
    """

    title: str
    summary: str
    x: Axis
    y: Axis
    curves: Sequence[Curve]
    marks: Sequence[Mark] = ()
    limits: Sequence[Limit] = ()
    categories: Sequence[str] = ()

    @property
    def x_ticks(self) -> list[Tick]:
        """Labels below."""
        if self.categories:
            return [Tick(self.x.at(place), label) for place, label in enumerate(self.categories)]
        return self.x.ticks

    def line(self, curve: Curve) -> str:
        """The curve as an SVG path; it is broken where a value is missing."""
        parts, pen = [], "M"
        for point in curve.points:
            parts.append(f"{pen}{self._x(point)} {self._y(point.y)}" if point.drawn else "")
            pen = "L" if point.drawn else "M"
        return "".join(parts)

    def dots(self, curve: Curve) -> str:
        """A path with a line of no length at each point: round caps make it a dot."""
        points = [point for point in curve.points if point.drawn]
        return "".join(f"M{self._x(point)} {self._y(point.y)}h0" for point in points)

    def band(self, curve: Curve) -> str:
        """The intervals as an SVG path, or "" where there is none."""
        points = [point for point in curve.points if point.drawn]
        if all(point.low is None for point in points):
            return ""
        above = [f"{self._x(p)} {self._y(p.y if p.high is None else p.high)}" for p in points]
        below = [f"{self._x(p)} {self._y(p.y if p.low is None else p.low)}" for p in reversed(points)]
        return f"M{'L'.join([*above, *below])}Z"

    def _x(self, point: Point) -> float:
        return self.x.at(point.x)

    def _y(self, y: float | None) -> float:
        """From the top, within the plot: an interval may leave it."""
        assert y is not None  # only points that are drawn get here
        return round(100 - min(max(self.y.at(y), 0.0), 100.0), 2)


@dataclass(frozen=True)
class Bar:
    """A horizontal bar from zero, in percent of the axis, with its interval and its figure."""

    start: float
    width: float
    label: str
    low: float | None = None
    high: float | None = None


def bar(axis: Axis, value: float | None, low: float | None = None, high: float | None = None) -> Bar | None:
    """The bar of a value; None where there is none to draw."""
    if value is None or not math.isfinite(value):
        return None
    zero, end = axis.at(0.0), axis.at(value)
    whisker = (None, None) if low is None or high is None else (axis.at(low), axis.at(high))
    return Bar(min(zero, end), round(abs(end - zero), 2), figure(value * axis.factor), *whisker)


def color(position: int) -> int:
    """Which color of the style sheet the curve at a position has."""
    return position % _COLORS


def _ends(values: Iterable[float | None], zero: bool) -> tuple[float, float]:
    finite = [value for value in values if value is not None and math.isfinite(value)] or [0.0, 1.0]
    return (min(*finite, 0.0), max(*finite, 0.0)) if zero else (min(finite), max(finite))


def _step(low: float, high: float) -> float:
    """The distance of ticks: 1, 2 or 5 times a power of ten."""
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    return next(power * k for k in (1, 2, 5, 10) if power * k >= span / _TICKS * 0.99)
