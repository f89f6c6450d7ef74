"""A sample's outputs do not depend on the others of its batch."""

import numpy as np
from checking import errors, messages, outcome

from build import model, weights
from nmtool.noise import Gaussian

RULE = "nm202_batch_independence"
DENSE = model("g (float[N,8] x) => (float[N,4] y) { y = MatMul(x, w) }", w=weights(8, 4))


def test_a_dense_layer_is_independent_with_and_without_noise():
    found = outcome(RULE, DENSE, noise=Gaussian(eta=0.1))
    assert found.status == "passed"
    assert messages(found).count("at once and one by one") == 2
    assert outcome(RULE, DENSE, data={"x": weights(1, 8)}).status == "passed"


def test_what_is_computed_over_the_batch_is_found():
    found = outcome(RULE, model("g (float[N,8] x) => (float[N,8] y) { y = Softmax<axis = 0>(x) }"))
    (error,) = errors(found)
    assert "'y': max abs" in error.message
    centred = model("g (float[N,8] x) => (float[N,8] y) { m = ReduceMean(x, axes) y = Sub(x, m) }", axes=np.array([0]))
    assert errors(outcome(RULE, centred))


def test_batch_normalization_in_training_mode_is_found():
    text = """g (float[N,8] x) => (float[N,8] y) {
      y, m, v = BatchNormalization<training_mode = 1>(x, scale, bias, mean, var) }"""
    arrays = {"scale": np.ones(8, np.float32), "bias": np.zeros(8, np.float32)}
    statistics = {"mean": np.zeros(8, np.float32), "var": np.ones(8, np.float32)}
    assert errors(outcome(RULE, model(text, **arrays, **statistics)))


def test_outputs_that_are_not_those_of_samples_are_found():
    # All samples in one row, of which the first few are dropped: once for a batch, for each sample when alone.
    text = "g (float[N,8] x) => (float[K] y) { flat = Reshape(x, s) y = Slice(flat, from, to) }"
    found = outcome(RULE, model(text, s=np.array([-1]), **{"from": np.array([3]), "to": np.array([1000])}))
    (error,) = errors(found)
    assert error.message == "output 'y' is [29] for 4 samples, [5] for one"


def test_outputs_without_an_axis_for_samples_are_noted():
    text = "g (float[N,8] x) => (float[N,8] y, float[8] w2) { y = Relu(x) w2 = Neg(w) }"
    found = outcome(RULE, model(text, w=weights(8)))
    assert found.status == "passed"
    assert "output 'w2' has no axis for samples" in messages(found)


def test_a_fixed_batch_is_not_checked():
    assert outcome(RULE, model("g (float[1,8] x) => (float[1,8] y) { y = Relu(x) }")).status == "not checked"


def test_the_batch_may_be_on_another_axis():
    recurrent = """g (float[seq,batch,3] x, float[1,batch,4] h) => (float[seq,1,batch,4] y) {
      y, last = RNN<hidden_size = 4>(x, w, r, , , h) }"""
    found = outcome(RULE, model(recurrent, w=weights(1, 4, 3), r=weights(1, 4, 4)))
    assert found.status == "passed"
    assert "4 samples at once" in messages(found)
