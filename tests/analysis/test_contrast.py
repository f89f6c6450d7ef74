"""The bound for values of many dimensions: below the truth, and not far below."""

import math

import numpy as np
import pytest
from sign_network import information, network

from nmtool.analysis.contrast import contrast_bound
from nmtool.analysis.gaussian import mixture_information

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_gaussian_noise(sigma):
    means = RNG.standard_normal((64, 4))
    values = means + sigma * RNG.standard_normal((200, 64, 4))
    truth = mixture_information(means, np.full((64, 1), sigma**2), 400, 1)
    bound = contrast_bound(values)
    assert 0.85 * truth - 0.1 <= bound <= truth + 0.1


def test_samples_that_share_their_noise():
    means = RNG.standard_normal((64, 4))
    values = means + 0.7 * RNG.standard_normal((400, 1, 4))
    truth = mixture_information(means, np.full((64, 1), 0.49), 400, 1)
    assert 0.8 * truth <= contrast_bound(values) <= truth + 0.25


def test_decisions_of_a_network():
    net = network(n=5, hidden=5, classes=3, sigma=0.5)
    values = np.eye(3)[net.draw(400, 5, shared=False)]
    assert contrast_bound(values) <= information(net.decisions()) + 0.05


def test_correlated_noise_does_not_lift_it_above_the_truth():
    means = RNG.standard_normal((32, 1)).repeat(16, axis=1)
    values = means + RNG.standard_normal((200, 32, 1))  # the same noise in all 16 dimensions
    truth = mixture_information(means[:, :1], np.ones((32, 1)), 2000, 1)
    assert contrast_bound(values) <= truth + 0.1


def test_limits():
    means = RNG.standard_normal((16, 3))
    exact = np.broadcast_to(means, (8, 16, 3))
    assert contrast_bound(exact) == pytest.approx(math.log2(16))
    assert contrast_bound(np.zeros((8, 16, 3))) == 0
    assert contrast_bound(np.zeros((8, 1, 3))) == 0
    assert contrast_bound(RNG.standard_normal((400, 16, 3))) < 0.05
