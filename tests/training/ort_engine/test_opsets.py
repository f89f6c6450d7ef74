"""Opsets that the engine does not know."""

import numpy as np
import pytest
from running import run_ort

from build import model, weights
from nmtool.errors import ModelError
from nmtool.model import load, to_proto

pytest.importorskip("torch")
from nmtool.training.ort_engine.opsets import within_reach

NETWORK = (
    "g (float[N,3,6,6] x) => (float[N,4] y) { h = Conv(x, w)  r = Relu(h)  p = GlobalAveragePool(r)  f = Flatten(p)"
    "  y = Gemm(f, u) }"
)


@pytest.mark.parametrize(("opset", "expected"), [(13, 18), (18, 18), (20, 20), (22, 21), (23, 21)])
def test_a_plain_network_stays_what_it_is(opset, expected):
    proto = model(NETWORK, opset=opset, w=weights(8, 3, 3, 3), u=weights(8, 4))
    moved = within_reach(load(proto))
    assert (moved.opset_imports[""], moved.ir_version) == (expected, 10)
    assert set(moved.graph.initializers) == {"w", "u"}
    feeds = {"x": weights(2, 3, 6, 6)}
    np.testing.assert_array_equal(run_ort(to_proto(moved), feeds), run_ort(proto, feeds))


def test_an_operator_that_has_changed_is_named():
    proto = model("g (float[N,4] x) => (float16[N,4] y) { y = Cast<to=10>(x) }", opset=24)  # has got round_mode
    with pytest.raises(ModelError, match=r"Cast is another operator at opset 24: node 'y'"):
        within_reach(load(proto))


def test_an_operator_that_is_new_is_named():
    proto = model("g (float[N,4] x) => (float[N,4] y) { y = RMSNormalization(x, s) }", opset=23, s=weights(4))
    with pytest.raises(ModelError, match="RMSNormalization is another operator at opset 23"):
        within_reach(load(proto))
