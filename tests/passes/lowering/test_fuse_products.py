"""Products that draw the noise of their matrix inside give the values of the portable form."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import nmtool

INPUTS, CHANNELS = 24, 128


def product(op="MatMul", lead=("rows",), channels=CHANNELS, bias=None, **attributes):
    """x [lead, 24] times a matrix; `bias`: its shape, added by the Gemm or behind the MatMul."""
    generator = np.random.default_rng(0)
    shape = (channels, INPUTS) if attributes.get("transB") else (INPUTS, channels)
    arrays = {"w": generator.standard_normal(shape), "c": generator.standard_normal(bias or ())}
    initializers = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    in_node = ["c"] if bias is not None and op == "Gemm" else []
    add = bias is not None and op == "MatMul"
    nodes = [helper.make_node(op, ["x", "w", *in_node], ["xw" if add else "y"], name="product", **attributes)]
    if add:
        nodes.append(helper.make_node("Add", ["c", "xw"], ["y"], name="add"))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [*lead, INPUTS])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [*lead, channels])
    graph = helper.make_graph(nodes, "product", [x], [y], initializers[: 1 if bias is None else 2])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(noisy, x, trial=3, scale=0.5, **options):
    feeds = {"x": x, "noise_trial": np.array(trial), "noise_scale": np.array(scale, np.float32)}
    return nmtool.session(noisy, threads=2, **options).run(None, feeds)[0]


FORMS = {
    "MatMul": {},
    "MatMul of three axes": {"lead": ("batch", 3)},
    "MatMul with bias": {"bias": (CHANNELS,)},
    "Gemm": {"op": "Gemm"},
    "Gemm with bias": {"op": "Gemm", "bias": (CHANNELS,)},
}


@pytest.mark.parametrize("per_channel", [False, True], ids=["layer", "channel"])
@pytest.mark.parametrize("form", FORMS)
def test_values_are_those_of_the_portable_form(form, per_channel):
    noisy = nmtool.inject(product(**FORMS[form]), eta=0.1, per_channel=per_channel).model
    (explained,) = nmtool.explain_session(noisy)
    assert (explained.form, explained.reason) == ("fused", "same values")
    lead = (5, 3) if "lead" in FORMS[form] else (15,)
    x = np.random.default_rng(1).standard_normal((*lead, INPUTS)).astype(np.float32)
    for trial, scale in ((0, 1.0), (2**40 + 1, 0.5), (1, 0.0)):
        expected = run(noisy, x, trial, scale, lowering=False)
        actual = run(noisy, x, trial, scale)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "form",
    [
        {"channels": 100},
        {"op": "Gemm", "transB": 1},
        {"op": "Gemm", "alpha": 0.5},
        {"op": "Gemm", "bias": (CHANNELS,), "beta": 0.5},
        {"op": "Gemm", "bias": (1, CHANNELS)},
    ],
    ids=str,
)
def test_other_products_keep_the_noise_in_front_of_the_weights(form):
    noisy = nmtool.inject(product(**form), eta=0.1).model
    assert [each.form for each in nmtool.explain_session(noisy)] == ["weights"]


@pytest.mark.parametrize("bias", [(1,), (5, CHANNELS)], ids=str)
def test_an_addition_that_is_no_bias_stays_behind_the_product(bias):
    noisy = nmtool.inject(product(lead=(5,), bias=bias), eta=0.1).model
    assert [each.form for each in nmtool.explain_session(noisy)] == ["fused"]
    x = np.random.default_rng(1).standard_normal((5, INPUTS)).astype(np.float32)
    expected = run(noisy, x, lowering=False)
    np.testing.assert_allclose(run(noisy, x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_no_rows():
    noisy = nmtool.inject(product(), eta=0.1).model
    for sampling in ("weights", "outputs", "auto"):
        assert run(noisy, np.zeros((0, INPUTS), np.float32), sampling=sampling).shape == (0, CHANNELS)
