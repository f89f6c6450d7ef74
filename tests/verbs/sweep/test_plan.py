"""The grid of noise levels and the order of points."""

from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from nmtool.errors import UsageError
from nmtool.verbs.sweep.plan import Point, parse_etas, points


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("0:0.1:0.01", [0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1]),
        ("0:0.1:0.03", [0, 0.03, 0.06, 0.09]),
        ("0.05", [0.05]),
        ("0.2, 0,0.1,0.1", [0, 0.1, 0.2]),
        ("0,0.5:1:0.25", [0, 0.5, 0.75, 1]),
        ("1e-3:3e-3:1e-3", [0.001, 0.002, 0.003]),
        ("-0", [0]),
    ],
)
def test_levels_are_the_decimal_numbers_as_written(text, levels):
    assert parse_etas(text) == tuple(levels)


@given(st.integers(0, 10**4), st.integers(1, 10**3), st.integers(0, 200), st.integers(0, 6))
def test_a_range_has_every_step_and_includes_its_stop(start, step, steps, digits):
    unit = Decimal(1).scaleb(-digits)
    first, last, by = start * unit, (start + steps * step) * unit, step * unit
    levels = parse_etas(f"{first}:{last}:{by}")
    assert levels == tuple(float(first + k * by) for k in range(steps + 1))


@given(st.lists(st.floats(0, 10), min_size=1))
def test_numbers_come_back_sorted_and_once(numbers):
    levels = parse_etas(numbers)
    assert list(levels) == sorted(set(numbers))


def test_numpy_arrays_are_numbers():
    assert parse_etas(np.array([0.5, 0.25])) == (0.25, 0.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "a",
        "0:1",
        "0:1:0",
        "0:1:-0.1",
        "1:0:0.1",
        "-0.1",
        "nan",
        "inf",
        "0:inf:1",
        "0:1:nan",
        "0:1:0.1:2",
        "0:1:1e-9",
    ],
)
def test_what_is_not_a_grid_is_refused(text):
    with pytest.raises(UsageError):
        parse_etas(text)


@pytest.mark.parametrize("numbers", [[], [float("nan")], [-1.0], [float("inf")]])
def test_numbers_that_are_not_levels_are_refused(numbers):
    with pytest.raises(UsageError):
        parse_etas(numbers)


def test_the_clean_model_comes_first_and_once_then_whole_trials():
    plan = points(["a", "b"], (0.0, 0.1, 0.2), 2)
    of_a = [("a", 0.0, 0), ("a", 0.1, 0), ("a", 0.2, 0), ("a", 0.1, 1), ("a", 0.2, 1)]
    assert plan[:5] == [Point(*each) for each in of_a]
    assert plan[5:] == [Point("b", *each[1:]) for each in of_a]
    assert points(["a"], (0.1,), 1) == [Point("a", 0.0, 0), Point("a", 0.1, 0)]


def test_no_trials_are_refused():
    with pytest.raises(UsageError, match="at least 1"):
        points(["a"], (0.1,), 0)
