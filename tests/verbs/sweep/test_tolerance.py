"""eta*: the fit against scipy, the level against curves whose crossing is known."""

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given

from nmtool.verbs.sweep.tolerance import decreasing, tolerance

ETAS = [0.0, 0.1, 0.2, 0.3]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12))
def test_the_fit_is_isotonic_regression(values):
    expected = scipy.optimize.isotonic_regression(values, increasing=False).x
    np.testing.assert_allclose(decreasing(np.array(values)), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("drop", "eta"), [(0.0, 0.0), (0.01, 0.05), (0.02, 0.1), (0.07, 0.15), (0.12, 0.2), (0.22, 0.25)]
)
def test_levels_are_interpolated(drop, eta):
    found = tolerance(ETAS, np.array([[0.92, 0.90, 0.80, 0.60]]), drop, higher_is_better=True)
    assert found.eta == pytest.approx(eta)
    assert (found.low, found.high, found.beyond_grid) == (None, None, False)


def test_a_lower_is_better_metric_is_turned_round():
    found = tolerance(ETAS, np.array([[0.0, 1.0, 2.0, 3.0]]), 1.5, higher_is_better=False)
    assert found.eta == pytest.approx(0.15)


def test_a_metric_that_stays_within_the_drop_is_said_to_be_beyond_the_grid():
    found = tolerance(ETAS, np.array([[0.9, 0.9, 0.91, 0.89]] * 2), 0.05, higher_is_better=True)
    assert (found.eta, found.beyond_grid) == (0.3, True)


def test_a_dip_that_recovers_is_pooled_with_its_neighbour():
    dip = np.array([[0.90, 0.84, 0.88, 0.50]])  # 0.84 and 0.88 become 0.86
    assert tolerance(ETAS, dip, 0.05, higher_is_better=True).eta == pytest.approx(0.2 + 0.1 * 0.01 / 0.36)


@pytest.mark.parametrize(("reference", "eta"), [(0.94, 0.05), (0.92, 0.15), (0.97, 0.0)])
def test_a_drop_may_be_from_another_value(reference, eta):
    found = tolerance(ETAS, np.array([[0.92, 0.90, 0.80, 0.60]]), 0.03 + 0.04 * (reference == 0.92), True, reference)
    assert found.eta == pytest.approx(eta)
    turned = tolerance(ETAS, -np.array([[0.92, 0.90, 0.80, 0.60]]), found.drop, False, -reference)
    assert turned.eta == pytest.approx(eta)


@pytest.mark.parametrize("broken", [np.nan, -np.inf])
def test_a_level_without_a_value_is_not_tolerated(broken):
    assert tolerance(ETAS, np.array([[0.9, 0.9, broken, broken]]), 0.05, higher_is_better=True).eta == 0.1


def test_the_interval_covers_the_true_level_and_is_reproducible():
    """Lines of random slope that cross at 0.15 on average; the bootstrap of 20 trials falls a little short of 95 %."""
    rng = np.random.default_rng(4)
    covered = 0
    etas = np.linspace(0, 0.3, 7)
    for _ in range(50):
        values = 0.9 - rng.normal(1.0, 0.1, size=(20, 1)) * etas
        found = tolerance(etas.tolist(), values, 0.15, higher_is_better=True)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.eta <= found.high
        covered += found.low <= 0.15 <= found.high
    assert 42 <= covered <= 50
    assert tolerance(etas.tolist(), values, 0.15, higher_is_better=True) == found
