import math

import numpy as np
import pytest
from scipy import stats

from nmtool.checks.statistics import (
    chi_square_exceeds,
    frequencies_p_value,
    holm,
    one_sided_bounds,
    two_sample_test,
    variance_p_value,
)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 30, 31, 999, 32768])
@pytest.mark.parametrize("sigmas", [-4, -1, 0, 1, 4])
def test_chi_square(freedom, sigmas):
    value = max(freedom + sigmas * math.sqrt(2 * freedom), 0.0)
    assert chi_square_exceeds(value, freedom) == pytest.approx(stats.chi2.sf(value, freedom), rel=1e-9, abs=1e-15)


def test_holm_is_that_of_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_a_variance_of_one_has_any_p_value_and_another_one_a_small_one():
    z = np.random.default_rng(1).standard_normal(20_000)
    assert 0.01 < variance_p_value(float(np.square(z).sum()), z.size) < 1
    for factor in (0.95, 1.05):
        assert variance_p_value(float(np.square(factor * z).sum()), z.size) < 1e-6


def test_frequencies():
    counts, probabilities = [880, 70, 50], [0.9, 0.05, 0.05]
    expected = stats.chisquare(counts, np.multiply(probabilities, 1000)).pvalue
    assert frequencies_p_value(counts, probabilities) == pytest.approx(expected)
    assert frequencies_p_value([10, 1], [1.0, 0.0]) == 0
    assert frequencies_p_value([10, 0], [1.0, 0.0]) == 1


def test_bounds_are_those_of_student():
    values = [1.0, 2.0, 4.0, 5.0]
    low, high = one_sided_bounds(values, 0.01)
    half = stats.t.ppf(0.99, 3) * np.std(values, ddof=1) / 2
    assert (low, high) == pytest.approx((3 - half, 3 + half))


def correlated(generator, trials):
    """Outputs of few independent sources, some of them heavy-tailed: what no closed formula covers."""
    sources = generator.standard_t(4, (trials, 3))
    return sources @ np.array([[1, 1, 0, 2.0], [0, 1, 1, 1], [0, 0, 0, 1]]) + 5


def test_two_samples_of_one_distribution_are_rarely_told_apart():
    """Of 200 tests at alpha 0.05, Holm-corrected over three statistics, the rejections are at most binomial."""
    generator = np.random.default_rng(7)
    rejected = 0
    for seed in range(200):
        result = two_sample_test(correlated(generator, 20), correlated(generator, 20), rounds=199, seed=seed)
        rejected += min(holm(list(result.p_values.values()))) <= 0.05
    assert rejected <= stats.binom.ppf(0.999, 200, 0.05)


@pytest.mark.parametrize(
    ("change", "statistic"),
    [(lambda y: 1.5 * y, "variance"), (lambda y: y + 1.0, "mean"), (lambda y: np.sign(y) * y.std(axis=0), "shape")],
)
def test_each_statistic_finds_its_own_difference(change, statistic):
    generator = np.random.default_rng(3)
    first, second = generator.standard_normal((2, 100, 8))
    result = two_sample_test(first, change(second), rounds=999, seed=0)
    assert result.p_values[statistic] == 0.001
    if statistic == "variance":
        assert result.sigma_ratio == pytest.approx(1.5, rel=0.1)
        assert result.resolution == pytest.approx(np.sqrt(4 / 800) / 2, rel=0.5)


def test_5_percent_of_sigma_are_found_in_40_outputs_and_200_trials():
    """The power is stated as 90 %: of 50 tests at alpha 0.01 over three statistics, binomial(50, 0.9) are right."""
    generator = np.random.default_rng(11)
    found, resolutions = 0, []
    for seed in range(50):
        first, second = generator.standard_normal((200, 40)), 1.05 * generator.standard_normal((200, 40))
        result = two_sample_test(first, second, rounds=599, seed=seed)
        found += min(holm(list(result.p_values.values()))) <= 0.01
        resolutions.append(result.resolution)
    assert found >= stats.binom.ppf(0.001, 50, 0.9)
    detectable = (stats.norm.isf(0.01 / 3 / 2) + stats.norm.ppf(0.9)) * np.mean(resolutions)
    assert detectable == pytest.approx(0.05, rel=0.1)


def test_dependent_outputs_do_not_hide_an_error_of_sigma():
    """One source that dominates all outputs would: its variance alone has a standard error of 10 %."""
    generator = np.random.default_rng(5)
    mixing = np.concatenate([np.full((1, 60), 5.0), generator.standard_normal((60, 60))])
    first, second = (factor * generator.standard_normal((200, 61)) @ mixing for factor in (1.0, 1.08))
    result = two_sample_test(first, second, rounds=599, seed=0)
    assert result.p_values["variance"] < 0.01
    assert result.resolution < 0.02
