"""Metrics: values against plain definitions, independence of batches, mistakes."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import top_k_accuracy_score

from nmtool.errors import UsageError
from nmtool.metrics import METRICS, Metric, find

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(50, 7)).astype(np.float32)
CLEAN = SCORES + RNG.normal(size=SCORES.shape).astype(np.float32)
LABELS = RNG.integers(7, size=50)


def value(metric: Metric, outputs, labels=LABELS, clean=CLEAN, batch: int = 50) -> float:
    total = metric.start()
    for start in range(0, len(outputs), batch):
        part = slice(start, start + batch)
        total.add(outputs[part], None if labels is None else labels[part], clean[part])
    return total.value()


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_k_is_sklearns(k):
    expected = top_k_accuracy_score(LABELS, SCORES, k=k)
    assert value(find(f"top{k}"), SCORES) == pytest.approx(expected)


def test_comparisons_with_the_clean_model():
    a, b = SCORES.astype(np.float64), CLEAN.astype(np.float64)
    cosine = ((a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))).mean()
    assert value(find("mse"), SCORES) == pytest.approx(((a - b) ** 2).mean())
    assert value(find("cosine"), SCORES) == pytest.approx(cosine)
    assert value(find("agreement"), SCORES) == pytest.approx((a.argmax(axis=1) == b.argmax(axis=1)).mean())


@given(st.sampled_from(sorted(METRICS)), st.integers(1, 60))
def test_batches_make_no_difference(name, batch):
    assert value(METRICS[name], SCORES, batch=batch) == pytest.approx(value(METRICS[name], SCORES), rel=1e-12)


@pytest.mark.parametrize("name", ["agreement", "cosine", "mse"])
def test_the_clean_model_agrees_with_itself(name):
    zero = np.zeros((3, 4), np.float32)
    for clean in (CLEAN, zero):
        assert value(METRICS[name], clean, clean=clean) == pytest.approx(0.0 if name == "mse" else 1.0)


def test_labels_may_be_one_hot_or_a_column():
    for labels in (np.eye(7)[LABELS], LABELS[:, None], LABELS.astype(np.uint8)):
        assert value(find("top1"), SCORES, labels=labels) == value(find("top1"), SCORES)


def test_a_label_per_position_counts_as_a_share_of_the_sample():
    scores = np.eye(3, dtype=np.float32)[np.array([[0, 1], [2, 2]])]  # two samples of two positions
    assert value(find("top1"), scores, labels=np.array([[0, 2], [2, 2]]), clean=scores) == 0.75


def test_of_equal_scores_the_first_counts_as_argmax_has_it():
    tied = np.zeros((4, 4), np.float32)
    assert value(find("top1"), tied, labels=np.arange(4), clean=tied) == 0.25
    assert value(find("top3"), tied, labels=np.arange(4), clean=tied) == 0.75


def test_nan_is_never_a_hit():
    for broken in (np.full((4, 3), np.nan), np.array([[1.0, np.nan, 0.0]] * 4)):
        assert value(find("top1"), broken, labels=np.zeros(4, int), clean=broken) == 0.0


def test_a_users_function_sees_the_whole_data_set_once(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "calls = []\n"
        "def spread(outputs, labels, clean):\n"
        "    calls.append((outputs.shape, labels is None, clean.shape))\n"
        "    return outputs.max() - clean.min()\n"
        "spread.higher_is_better = False\n"
        "def fails(outputs, labels, clean): raise ValueError('no')\n"
    )
    monkeypatch.chdir(tmp_path)
    metric = find("mine:spread")
    assert not metric.higher_is_better
    assert value(metric, SCORES, batch=9, labels=None) == SCORES.max() - CLEAN.min()
    import sys

    assert sys.modules["mine"].calls == [((50, 7), True, (50, 7))]
    with pytest.raises(UsageError, match="mine:fails failed: ValueError: no"):
        value(find("mine:fails"), SCORES)


@pytest.mark.parametrize("name", ["", "top0", "top", "f1", "missing_module:f", "math:nothing", "math:pi"])
def test_what_is_no_metric(name):
    with pytest.raises(UsageError):
        find(name)


@pytest.mark.parametrize(
    ("name", "outputs", "labels", "message"),
    [
        ("top1", SCORES[:, :1], LABELS, "classes"),
        ("top9", SCORES, LABELS, "9 classes"),
        ("top1", SCORES[:, 0], LABELS, "classes"),
        ("top1", SCORES, LABELS + 1, "1 to 7"),
        ("top1", SCORES, LABELS - 1, "-1 to 5"),
        ("top1", SCORES, LABELS.astype(float), "float64"),
        ("top1", SCORES, np.eye(9)[LABELS], r"\[50, 9\]"),
    ],
)
def test_outputs_and_labels_that_do_not_go_together(name, outputs, labels, message):
    with pytest.raises(UsageError, match=message):
        value(find(name), outputs, labels=labels)
