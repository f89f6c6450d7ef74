"""Outputs are numbers."""

import numpy as np
import pytest
from checking import errors, messages, outcome, warnings

from build import model, weights
from nmtool.noise import Gaussian

RULE = "nm206_finite"
SQUARE = """g (float16[N,8] x) => (float16[N,4] y) {
  [scale] a = Mul(x, factor)
  [square] b = Mul(a, a)
  [root] c = Sqrt(b)
  [dense] y = MatMul(c, w) }"""


def halves(factor):
    return model(SQUARE, factor=np.array(factor, np.float16), w=weights(8, 4, dtype=np.float16))


def test_finite_outputs_pass():
    found = outcome(RULE, halves(1.0))
    assert found.status == "passed"
    assert "finite on 4 samples" in messages(found)
    data = {"x": np.ones((300, 8), np.float16)}
    assert "finite on 256 samples" in messages(outcome(RULE, halves(1.0), data=data))


def test_an_overflow_of_half_precision_is_found_at_its_node():
    (error,) = errors(outcome(RULE, halves(1000.0)))
    assert error.facts["node"] == "square"


@pytest.mark.parametrize(
    ("line", "node"),
    [("[log] b = Log(a)", "log"), ("[root] b = Sqrt(a)", "root"), ("z = Sub(a, a) [div] b = Div(a, z)", "div")],
)
def test_what_leaves_the_numbers_is_found(line, node):
    text = f"g (float[N,8] x) => (float[N,8] y) {{ [neg] a = Neg(x) {line} [after] c = Add(b, x) y = Add(c, x) }}"
    (error,) = errors(outcome(RULE, model(text), data={"x": np.ones((2, 8), np.float32)}))
    assert "output 'y' of the clean model is not finite (100.00% of it)" in error.message
    assert error.facts["node"] == node


def test_only_the_sample_that_overflows_is_needed():
    samples = np.ones((40, 8), np.float32)
    samples[35] = 100
    exponential = model("g (float[N,8] x) => (float[N,8] y) { [exp] y = Exp(x) }")
    (error,) = errors(outcome(RULE, exponential, data={"x": samples}))
    assert error.facts["node"] == "exp"


def test_a_stored_array_is_named():
    text = "g (float[N,8] x) => (float[N,8] y) { [add] a = Add(x, w) y = Neg(a) }"
    (error,) = errors(outcome(RULE, model(text, w=np.array([np.nan] * 8, np.float32))))
    assert "it comes from the stored array 'w'" in error.message


def test_masks_are_not_overflows():
    mask = """g (float16[N,8] x) => (float16[N,8] y) {
      zero = Constant<value_float = 0.0>() half = Cast<to = 10>(zero)
      c = Greater(x, half)
      [mask] m = Where(c, x, never)
      y = Softmax(m) }"""
    found = outcome(RULE, model(mask, never=np.array(-np.inf, np.float16)), data={"x": np.eye(8, dtype=np.float16)})
    assert found.status == "passed"
    cast = mask.replace("never", "small").replace("c = Greater", "small = Cast<to = 10>(never) c = Greater")
    found = outcome(RULE, model(cast, never=np.array(-1e30, np.float32)), data={"x": np.eye(8, dtype=np.float16)})
    assert [finding.message for finding in warnings(found)]


def test_noise_counts_too():
    text = "g (float[N,8] x) => (float[N,4] y) { h = MatMul(x, w) y = Exp(h) }"
    found = outcome(RULE, model(text, w=weights(8, 4)), noise=Gaussian(eta=1000.0))
    assert "of the noisy model is not finite" in messages(found)
    assert "outputs of the clean model are finite" in messages(found)
