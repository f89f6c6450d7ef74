"""Estimates from few draws against networks whose information is known exactly."""

import numpy as np
import pytest
from scipy.stats import t as student
from sign_network import information, network

from nmtool.analysis.classes import (
    chip_information,
    entropy,
    label_chip_information,
    label_information,
    read_information,
)

NET = network(n=6, hidden=5, classes=4, sigma=0.6)
LABELS = NET.inputs[:, 0].astype(np.int64)
REPEATS = 40
FALSE_ALARM = 1e-4  # of each comparison of a mean with an exact value


def agrees(values, exact, slack=0.0):
    """Whether the mean of independent estimates is the exact value, up to a bias of `slack`."""
    gap = max(0.0, abs(np.mean(values) - exact) - slack)
    return gap <= student.isf(FALSE_ALARM / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))


def test_entropy_of_known_laws():
    np.testing.assert_allclose(entropy(np.array([[0.5, 0.5, 0, 0], [0.25] * 4, [1, 0, 0, 0]])), [1, 2, 0])


def test_the_exact_network_agrees_with_its_own_draws():
    shares = np.eye(4)[NET.draw(4000, 1, shared=False)].mean(axis=0)
    np.testing.assert_allclose(shares, NET.decisions(), atol=5 * np.sqrt(0.25 / 4000))


@pytest.mark.parametrize("shared", [False, True], ids=["noise of its own", "a chip for all"])
@pytest.mark.parametrize("draws", [16, 64])
def test_read_noise(shared, draws):
    exact = information(NET.decisions())
    found = [read_information(NET.draw(draws, seed, shared=shared), 4) for seed in range(REPEATS)]
    assert agrees([each.bits for each in found], exact, slack=0.02)
    assert np.mean([each.plugin_bits for each in found]) > exact + 0.02  # what the correction is for
    spread = np.std([each.bits for each in found], ddof=1)
    assert np.mean([each.std for each in found]) == pytest.approx(spread, rel=0.6)


@pytest.mark.parametrize("shared", [False, True])
def test_label_under_read_noise(shared):
    joint = np.array([NET.decisions()[label == LABELS].mean(axis=0) for label in (-1, 1)])
    exact = information(joint)  # both labels are equally frequent
    found = [label_information(NET.draw(32, seed, shared=shared), LABELS, 4).bits for seed in range(REPEATS)]
    assert agrees(found, exact, slack=0.005)


def test_chip_noise_is_the_entropy_of_what_each_chip_decides():
    decisions = np.array([[0, 1, 2, 3], [0, 0, 1, 1], [2, 2, 2, 2]])
    assert chip_information(decisions, 4).bits == pytest.approx((2 + 1 + 0) / 3)
    labels = np.array([5, 5, 9, 9])
    assert label_chip_information(decisions, labels, 4).bits == pytest.approx((1 + 1 + 0) / 3)


def test_a_known_chip_leaves_more_than_noise_that_nobody_knows():
    decisions = NET.draw(200, 3, shared=True)
    assert chip_information(decisions, 4).bits > read_information(decisions, 4).bits
    chip, read = label_chip_information(decisions, LABELS, 4), label_information(decisions, LABELS, 4)
    assert chip.bits > read.bits


def test_decisions_without_noise_need_no_correction():
    decisions = np.array([[0, 0, 1, 2]])
    for found in (read_information(decisions, 3), chip_information(decisions, 3)):
        assert found.bits == found.plugin_bits == pytest.approx(1.5)
        assert found.std is None
    assert label_information(decisions, np.array([0, 0, 1, 1]), 3).bits == pytest.approx(1.0)


def test_the_label_cannot_be_known_better_than_the_input():
    decisions = NET.draw(50, 4, shared=True)
    assert label_information(decisions, LABELS, 4).plugin_bits <= read_information(decisions, 4).plugin_bits
