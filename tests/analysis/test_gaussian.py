"""Information through Gaussian layers against quadrature, simulation and limits."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from nmtool.analysis.gaussian import gaussian_bound, mixture_bounds, mixture_information, product_variances

RNG = np.random.default_rng(0)


def binary(gap: float) -> float:
    """I(X; Y) in bits for X one of two equally probable values `gap` standard deviations apart, by quadrature."""

    def integrand(y: float) -> float:
        p = norm.pdf(y)
        return p * math.log2(2 * p / (p + norm.pdf(y - gap)))

    return quad(integrand, -12, 12 + gap)[0]


@pytest.mark.parametrize("gap", [0.1, 1.0, 3.0])
def test_two_inputs(gap):
    means, variances = np.array([[0.0], [gap]]), np.array([[1.0], [1.0]])
    exact = binary(gap)
    low, high = mixture_bounds(means, variances)
    assert low <= exact <= high
    assert mixture_information(means, variances, 20_000, 1) == pytest.approx(exact, abs=0.02)
    assert exact <= gaussian_bound(means, 1.0)


def test_bounds_hold_for_a_layer_and_close_in_on_the_truth():
    x, w = RNG.choice([-1.0, 1.0], size=(64, 12)), RNG.standard_normal((12, 5))
    for sigma in (0.3, 1.0, 3.0):
        variances = product_variances(x, np.full(w.shape, sigma))
        np.testing.assert_allclose(variances, 12 * sigma**2)  # |x|^2 is 12
        low, high = mixture_bounds(x @ w, variances)
        truth = mixture_information(x @ w, variances, 300, 2)
        assert low - 0.05 <= truth <= high + 0.05
        assert truth <= gaussian_bound(x @ w, 12 * sigma**2) + 0.05
        assert high <= math.log2(64) + 1e-9


def test_variances_of_a_product_are_those_of_simulated_noise():
    x, std = RNG.standard_normal((3, 7)), RNG.uniform(0.1, 2, size=(7, 4))
    draws = np.einsum("si,dio->dso", x, std * RNG.standard_normal((20_000, 7, 4)))
    np.testing.assert_allclose(draws.var(axis=0), product_variances(x, std), rtol=0.06)


def test_limits():
    means = np.arange(8.0)[:, None]
    assert mixture_bounds(means, np.full((8, 1), 1e-6)) == pytest.approx((3, 3))
    assert mixture_bounds(means, np.full((8, 1), 1e9)) == pytest.approx((0, 0), abs=1e-6)


def test_halving_the_noise_gains_at_most_a_bit_for_each_output():
    means = RNG.standard_normal((50, 3))
    gain = gaussian_bound(means, 0.01) - gaussian_bound(means, 0.04)
    assert 2.5 < gain <= 3
