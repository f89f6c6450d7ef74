"""The statistics of BatchNormalization fit the data."""

import numpy as np
import onnx
import pytest
from checking import messages, outcome, warnings
from normed import with_batch_norm

from build import model, weights
from nmtool.noise import Gaussian

RULE = "nm207_batchnorm"
CNN = model(
    """g (float[N,3,8,8] x) => (float[N,4] y) {
      [first] a = Conv(x, v)
      b = Relu(a)
      [second] c = Conv(b, w)
      d = GlobalAveragePool(c)
      y = Flatten(d) }""",
    v=weights(6, 3, 3, 3),
    w=weights(4, 6, 3, 3),
)
DATA = {"x": weights(300, 3, 8, 8)}
NORMED = with_batch_norm(CNN, {"x": weights(200, 3, 8, 8, seed=5)})


def stale(name, factor):
    changed = onnx.ModelProto()
    changed.CopyFrom(NORMED)
    (tensor,) = (tensor for tensor in changed.graph.initializer if tensor.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * np.float32(factor), name))
    return changed


def test_statistics_of_the_same_distribution_fit():
    found = outcome(RULE, NORMED, data=DATA, noise=Gaussian(eta=0.1))
    assert found.status == "passed"
    assert "means of 2 nodes are off by at most 0.0" in messages(found)


@pytest.mark.parametrize(("name", "factor"), [("w", 3.0), ("second.bn.var", 10.0), ("second.bn.mean", -4.0)])
def test_stale_statistics_are_found(name, factor):
    (warning,) = warnings(outcome(RULE, stale(name, factor), data=DATA))
    assert warning.facts["node"] == "second.bn"
    assert "calibrate-bn" in warning.fix


def test_inputs_that_are_prepared_in_another_way_are_found():
    found = outcome(RULE, NORMED, data={"x": 30 * DATA["x"] + 100})
    assert {warning.facts["node"] for warning in warnings(found)} == {"first.bn", "second.bn"}


def test_without_data_nothing_can_be_said():
    assert outcome(RULE, NORMED).status == "not checked"
    few = {"x": DATA["x"][:8]}
    assert "8 samples are too few" in messages(outcome(RULE, NORMED, data=few))
    assert not outcome(RULE, CNN).findings


def test_the_input_itself_may_be_normalized():
    text = "g (float[N,3] x) => (float[N,3] y) { [norm] y = BatchNormalization(x, scale, bias, mean, var) }"
    arrays = {"scale": np.ones(3), "bias": np.zeros(3), "mean": np.zeros(3), "var": np.ones(3)}
    proto = model(text, **{name: array.astype(np.float32) for name, array in arrays.items()})
    assert outcome(RULE, proto, data={"x": weights(100, 3)}).status == "passed"
    assert outcome(RULE, proto, data={"x": weights(100, 3) + 2}).status == "warning"
