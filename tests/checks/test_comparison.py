"""What is measured when two runs are compared."""

import json

import numpy as np
import pytest

from nmtool.checks.comparison import compare, disagreeing

SCORES = np.array([[1.0, 2.0, 0.5], [3.0, 1.0, 0.0]], np.float32)


def one(have, want):
    (comparison,) = compare(["y"], [np.asarray(have)], [np.asarray(want)])
    return comparison


def test_figures():
    comparison = one(SCORES + np.float32([[0, 0, 0], [0, 3, 0]]), SCORES)
    assert (comparison.max_abs, comparison.relative) == (3, 1)
    assert comparison.top1 == 0.5
    assert comparison.cosine == pytest.approx(0.8497, abs=1e-4)
    assert str(comparison) == "'y': max abs 3, relative 1, cosine 0.8496993, top-1 agreement 50.00%"
    assert comparison.facts() == {
        "output": "y",
        "relative": 1,
        "max_abs": 3,
        "cosine": pytest.approx(0.8497, abs=1e-4),
        "top1": 0.5,
    }


def test_what_cannot_be_measured_is_left_out():
    image = one(np.ones((1, 1, 4, 4)), np.ones((1, 1, 4, 4)))
    assert (image.top1, image.cosine, image.max_abs) == (None, 1, 0)
    assert str(image) == "'y': max abs 0, relative 0, cosine 1.0000000"
    shapes = one(SCORES[:1], SCORES)
    assert (shapes.top1, shapes.cosine, shapes.max_abs, shapes.relative) == (None, None, None, np.inf)
    assert "max abs unknown (the shapes differ)" in str(shapes)
    numbers = one([1, 2, 3, 4], [1, 2, 3, 5])
    assert str(numbers) == "'y': 25.00% of the elements differ"


@pytest.mark.parametrize(("have", "want", "cosine"), [([0.0, 0], [0.0, 0], 1), ([0.0, 1], [0.0, 0], 0)])
def test_vectors_of_zeros(have, want, cosine):
    assert one(have, want).cosine == cosine


def test_infinities_and_nan():
    same = one([np.nan, np.inf, 1.0], [np.nan, np.inf, 1.0])
    assert (same.max_abs, same.relative, same.cosine) == (0, 0, None)
    other = one([np.nan, 1.0], [1.0, 1.0])
    assert other.relative == np.inf
    assert json.dumps(other.facts(), allow_nan=False)


def test_disagreeing_are_the_worst_first_and_integers_only_where_there_is_nothing_else():
    want = [SCORES, SCORES, SCORES.argmax(axis=1)]
    have = [SCORES * np.float32(1.1), SCORES * np.float32(1.2), want[2] + 1]
    found = compare(["a", "b", "label"], have, want)
    assert [each.output for each in disagreeing(found, 0.01)] == ["b", "a"]
    assert [each.output for each in disagreeing(found, 0.15)] == ["b"]
    assert [each.output for each in disagreeing(found[2:], 0.5)] == ["label"]
