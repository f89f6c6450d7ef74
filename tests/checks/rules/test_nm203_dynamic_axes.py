"""Dimensions that are declared open take other sizes."""

import numpy as np
from checking import errors, messages, outcome, warnings

from build import model, weights

RULE = "nm203_dynamic_axes"


def test_a_model_that_takes_all_sizes_passes():
    found = outcome(RULE, model("g (float[N,3,H,W] x) => (float[N,4,H,W] y) { y = Conv(x, w) }", w=weights(4, 3, 1, 1)))
    assert found.status == "passed"
    assert "runs with N 1, N 2, N 3, H 32, H 128, W 32, W 128" in messages(found)


def test_a_batch_in_a_reshape_is_found():
    text = "g (float[batch,8] x) => (float[batch,8] y) { [flat] y = Reshape(x, s) }"
    found = outcome(RULE, model(text, s=np.array([1, 8])))
    assert [error.facts["size"] for error in errors(found)] == [2, 3]
    assert "batch 'batch' cannot be 2 at node flat: " in errors(found)[0].message
    # [1, -1] runs, and makes one long sample of all.
    silent = model(text, s=np.array([1, -1]))
    silent.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    assert (
        errors(outcome(RULE, silent))[0].message
        == "with batch 'batch' of 2, output 'y' is [1, 16], and declared as [batch, 8]"
    )


def test_a_length_that_is_refused_is_a_warning():
    text = "g (float[N,L] x) => (float[N,L] y) { [add] y = Add(x, position) }"
    found = outcome(RULE, model(text, position=weights(64)), data={"x": weights(3, 64)})
    assert not errors(found)
    assert [warning.facts["size"] for warning in warnings(found)] == [32, 128]
    assert warnings(found)[0].facts["node"] == "add"


def test_symbols_of_several_inputs_change_together():
    found = outcome(RULE, model("g (float[N,L] a, float[N,L] b) => (float[N,L] y) { y = Add(a, b) }"))
    assert found.status == "passed"
    assert "N 3, L 32, L 128" in messages(found)


def test_dimensions_without_a_symbol_are_those_of_the_batch():
    proto = model("g (float[N,4] a, float[M,4] b) => (float[N,4] y) { y = Add(a, b) }")
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].Clear()
    found = outcome(RULE, proto)
    assert found.status == "passed"
    assert "a[0] 1, a[0] 2, a[0] 3" in messages(found)


def test_numbers_are_left_alone():
    assert "all dimensions" in messages(outcome(RULE, model("g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }")))
