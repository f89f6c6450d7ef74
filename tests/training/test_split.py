"""The split: a partition, the same for every class, and a function of its seed."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given

from nmtool.errors import UsageError
from nmtool.training.split import split

FRACTIONS = st.floats(0, 0.9)
SEEDS = st.integers(-(2**63), 2**63 - 1)


def require_partition(training: np.ndarray, validation: np.ndarray, count: int, fraction: float) -> None:
    assert training.dtype == validation.dtype == np.int64
    assert (np.diff(training) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert sorted([*training, *validation]) == list(range(count))
    assert len(validation) == round(fraction * count)


@given(st.integers(2, 200), FRACTIONS, SEEDS)
def test_without_classes_it_is_a_partition(count, fraction, seed):
    assume(fraction == 0 or 0 < round(fraction * count) < count)
    training, validation = split(None, count, fraction, seed)
    require_partition(training, validation, count, fraction)
    for labels in (np.linspace(0, 1, count), np.zeros((count, 3), np.int64)):
        np.testing.assert_array_equal(split(labels, count, fraction, seed)[1], validation)


@given(st.lists(st.integers(20, 60), min_size=1, max_size=8), FRACTIONS, SEEDS)
def test_each_class_contributes_its_share(sizes, fraction, seed):
    labels = np.repeat(np.arange(len(sizes)) * 3 - 1, sizes)  # class numbers with gaps and a negative one
    np.random.default_rng(0).shuffle(labels)
    assume(fraction == 0 or round(fraction * len(labels)))
    training, validation = split(labels, len(labels), fraction, seed)
    require_partition(training, validation, len(labels), fraction)
    for number, size in enumerate(sizes):
        held_out = np.count_nonzero(labels[validation] == number * 3 - 1)
        assert abs(held_out - fraction * size) < 1


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30), FRACTIONS, SEEDS)
def test_no_class_leaves_training(sizes, fraction, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    assume(fraction == 0 or 0 < round(fraction * len(labels)) <= len(labels) - len(sizes))
    training, validation = split(labels, len(labels), fraction, seed)
    require_partition(training, validation, len(labels), fraction)
    assert set(labels[training]) == set(labels)


def test_largest_remainders_are_served_first():
    labels = np.repeat([0, 1, 2], [13, 18, 29])  # shares 1.3, 1.8 and 2.9
    _, validation = split(labels, 60, 0.1, 0)
    assert np.bincount(labels[validation]).tolist() == [1, 2, 3]


def test_it_depends_on_the_seed_alone():
    labels = np.arange(100) % 10
    first = split(labels, 100, 0.2, 1)
    for one, other in zip(first, split(labels, 100, 0.2, 1), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (first[1] != split(labels, 100, 0.2, 2)[1]).any()


def test_labels_beyond_the_count_do_not_matter():
    labels = np.arange(100) % 10
    for one, other in zip(split(labels, 40, 0.5, 1), split(labels[:40], 40, 0.5, 1), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_sample_may_validate():
    counts = np.zeros(10)
    for seed in range(400):
        counts[split(np.repeat([0, 1], [3, 7]), 10, 0.3, seed)[1]] += 1
    np.testing.assert_allclose(counts / 400, [1 / 3] * 3 + [2 / 7] * 7, atol=0.1)  # 4 standard errors


@pytest.mark.parametrize("fraction", [1.0, -0.1, float("nan"), float("inf")])
def test_shares_out_of_range(fraction):
    with pytest.raises(UsageError, match=f"not {fraction}"):
        split(None, 10, fraction, 0)


@pytest.mark.parametrize(
    ("labels", "count", "fraction"),
    [(None, 1, 0.5), (None, 3, 0.1), (None, 3, 0.9), (np.arange(10), 10, 0.2), (np.repeat([0, 1], 5), 10, 0.9)],
)
def test_too_few_samples(labels, count, fraction):
    with pytest.raises(UsageError, match=f"of {count} samples in .* classes cannot be held out") as caught:
        split(labels, count, fraction, 0)
    assert "one sample of each class stays" in str(caught.value.hint)
