"""Axes hold their values and have round ticks; paths stay in the plot and break where a value is missing."""

import math
import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nmtool.verbs.report.charts import Axis, Curve, LineChart, Point, bar
from nmtool.verbs.report.figures import DASH, figure, unit
from nmtool.verbs.report.sections.training import _thinned

numbers = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)


@given(st.lists(numbers, min_size=1, max_size=20), st.booleans())
def test_an_axis_holds_its_values_between_ticks(values, zero):
    axis = Axis.over("x", values, zero=zero)
    assert all(-0.01 <= axis.at(value) <= 100.01 for value in values)
    ticks = axis.ticks
    assert 2 <= len(ticks) <= 12
    assert (ticks[0].at, ticks[-1].at) == (pytest.approx(0, abs=0.01), pytest.approx(100, abs=0.01))
    assert len({tick.label for tick in ticks}) == len(ticks)
    if zero:
        assert any(float(tick.label.replace(",", "")) == 0 for tick in ticks)


def test_ticks_are_round():
    assert [tick.label for tick in Axis.over("eta", [0, 0.2]).ticks] == ["0.00", "0.05", "0.10", "0.15", "0.20"]
    assert [tick.label for tick in Axis.over("top1", [0.15, 0.98], 100).ticks] == ["0", "20", "40", "60", "80", "100"]
    assert [tick.label for tick in Axis.over("loss", [1.2, 11.2]).ticks][-1] == "12"


def chart(points):
    ends = [end for point in points for end in (point.x, point.y)]
    return LineChart("t", "s", Axis.over("x", [0, 10]), Axis.over("y", [*ends, 0, 1]), [Curve("c", points)])


def test_a_line_is_broken_where_a_value_is_missing():
    points = [Point(0, 0.5), Point(1, None), Point(2, 0.5), Point(3, math.nan), Point(4, 0.5), Point(5, 0.5)]
    path = chart(points).line(Curve("c", points))
    assert path.count("M") == 3
    assert path.count("L") == 1
    assert "nan" not in path
    assert chart(points).dots(Curve("c", points)).count("M") == 4


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=9))
def test_bands_stay_in_the_plot(values):
    points = [Point(k, y, y - abs(low), y + abs(high)) for k, (y, low, high) in enumerate(values)]
    places = [float(y) for y in re.findall(r" (-?[\d.]+)", chart(points).band(Curve("c", points)))]
    assert len(places) == 2 * len(points)
    assert all(0 <= place <= 100 for place in places)


def test_without_intervals_there_is_no_band():
    points = [Point(0, 1.0), Point(1, 2.0)]
    assert chart(points).band(Curve("c", points)) == ""


def test_bars_begin_at_zero():
    axis = Axis.of_bars("dB", [20.0, -5.0])
    up, down = bar(axis, 20.0), bar(axis, -5.0)
    assert (up.start, up.width) == (20.0, 80.0)
    assert (down.start, down.width) == (0.0, 20.0)
    assert bar(axis, None) is bar(axis, math.nan) is None


@given(st.lists(numbers, min_size=1, max_size=1500))
def test_thinned_logs_keep_mean_and_range(values):
    points = _thinned(list(enumerate(values)))
    assert len(points) <= 200
    assert min(p.y if p.low is None else p.low for p in points) == min(values)
    assert max(p.y if p.high is None else p.high for p in points) == max(values)


def test_figures():
    assert [figure(x) for x in (0.05, 0, 12.34, 1234.5, None, math.inf)] == ["0.0500", "0", "12.3", "1,234", DASH, DASH]
    assert unit("top1")(0.98765) == "98.77 %"
    assert unit("mse")(0.98765) == "0.988"
    assert unit("top1").interval(0.5, 0.75) == "50.00 to 75.00 %"
