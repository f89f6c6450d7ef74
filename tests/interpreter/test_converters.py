"""Converters in torch: the same numbers as the functions, and gradients that pass straight through."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from nmtool.interpreter.ops.converters import digits, quantize
from nmtool.noise.slicing import digit_factors, digit_powers


@pytest.mark.parametrize(("lowest", "expected"), [(-1.0, [0, 1, 1, 1, 1, 0]), (0.0, [0, 0, 0, 1, 1, 0])])
def test_the_gradient_is_one_inside_the_range(lowest: float, expected: list[int]) -> None:
    x = torch.tensor([-3.0, -1.9, -0.1, 0.1, 1.9, 3.0], requires_grad=True)
    limit = torch.tensor(2.0, requires_grad=True)
    quantize(x, limit, lowest, 7.0).sum().backward()
    assert x.grad.tolist() == expected
    assert limit.grad is None


@given(st.integers(1, 2000), st.integers(1, 8), st.sampled_from([-1.0, 0.0]))
def test_digits_put_together_are_the_quantized_signal_and_have_its_gradient(
    levels: int, bits: int, lowest: float
) -> None:
    x = torch.linspace(-2.5, 2.5, 41, requires_grad=True)
    factors = torch.tensor(digit_factors(levels, bits)).reshape(-1, 1)
    parts = digits(x, 2.0, lowest, float(levels), [float(p) for p in digit_powers(levels, bits)], float(2**bits))
    assert parts.abs().max() <= 2.0001
    whole = (parts * factors).sum(0)
    other = torch.linspace(-2.5, 2.5, 41, requires_grad=True)
    expected = quantize(other, torch.tensor(2.0), lowest, float(levels))
    np.testing.assert_allclose(whole.detach(), expected.detach(), atol=1e-5)
    whole.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(x.grad, other.grad, atol=1e-5)
