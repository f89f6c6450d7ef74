"""Noise of scale 0 is no noise."""

import numpy as np
import onnx
import onnx_ir as ir
from checking import errors, messages, outcome
from running import has_library

import nmtool
from build import model, weights
from nmtool.noise import Gaussian

RULE = "nm204_zero_noise"
CHAIN = "g (float[N,8] x) => (float[N,4] y) { [one] h = MatMul(x, v) [act] r = Relu(h) [two] y = MatMul(r, w) }"
DENSE = model(CHAIN, v=weights(8, 8), w=weights(8, 4))


def test_a_model_without_noise_is_not_checked():
    assert outcome(RULE, DENSE).status == "not checked"


def test_injected_models_pass():
    found = outcome(RULE, DENSE, noise=Gaussian(eta=0.1))
    assert found.status == "passed"
    assert ("with the operator library" in messages(found)) == has_library()
    assert "on standard operators" in messages(found)


def test_what_does_not_go_away_with_the_noise_is_found():
    noisy = ir.to_proto(nmtool.inject(DENSE, eta=0.1).model)
    deviation = next(tensor for tensor in noisy.graph.initializer if tensor.name == "w::std")
    deviation.CopyFrom(onnx.numpy_helper.from_array(np.array(np.inf, np.float32), deviation.name))  # 0 times inf is NaN
    found = outcome(RULE, noisy)
    error = errors(found)[0]
    assert "at scale 0, trial 0, " in error.message
    assert "the first node that differs: two (MatMul" in error.message
    assert error.facts["node"] == "two"
