"""Intervals against scipy, and against what they promise."""

import numpy as np
import pytest
import scipy.stats

from nmtool.verbs.sweep.statistics import student_t, summarize


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 30, 99, 100, 999])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_student_t_is_the_quantile(freedom, confidence):
    assert student_t(freedom, confidence) == pytest.approx(scipy.stats.t.ppf((1 + confidence) / 2, freedom), rel=1e-9)


@pytest.mark.parametrize("count", [2, 3, 10, 57])
def test_the_interval_is_scipys(count):
    values = np.random.default_rng(count).normal(0.9, 0.02, size=count)
    summary = summarize(values.tolist())
    mean, sem = values.mean(), scipy.stats.sem(values)
    low, high = scipy.stats.t.interval(0.95, count - 1, loc=mean, scale=sem)
    assert (summary.trials, summary.mean, summary.std) == (
        count,
        pytest.approx(mean),
        pytest.approx(values.std(ddof=1)),
    )
    assert (summary.low, summary.high) == (pytest.approx(low), pytest.approx(high))


def test_one_trial_has_no_interval():
    summary = summarize([0.5])
    assert (summary.mean, summary.std, summary.low, summary.high) == (0.5, None, None, None)


def test_equal_trials_have_an_interval_of_no_width():
    summary = summarize([0.5, 0.5, 0.5])
    assert (summary.std, summary.low, summary.high) == (0.0, 0.5, 0.5)
