"""Spearman's correlation against scipy's."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from nmtool.analysis.ranks import rank_correlation


@pytest.mark.parametrize("seed", range(5))
def test_like_scipy_with_and_without_ties(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(12), rng.integers(0, 4, 12).astype(float)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_where_there_is_no_order_there_is_no_correlation():
    assert rank_correlation([1, 2], [1, 2]) is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
