"""Sampled outputs have the distribution of one noisy matrix that is applied to all rows, in closed form.

Of each statistic the false-alarm rate is stated; seeds are fixed, so a test that passes goes on passing.
"""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy import stats

import nmtool
from nmtool.passes.lowering.crossover import rows_where_outputs_are_cheaper

INPUTS, CHANNELS = 24, 40
TRIALS = 400


def product(op="MatMul", lead=("rows",), opset=17, twice=False, **attributes):
    """x [lead, 24] times a matrix of 40 channels; `twice`: another product with the same matrix."""
    generator = np.random.default_rng(0)
    shape = (CHANNELS, INPUTS) if attributes.get("transB") else (INPUTS, CHANNELS)
    arrays = {"w": generator.standard_normal(shape), "c": generator.standard_normal(CHANNELS)}
    initializers = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    bias = ["c"] if op == "Gemm" else []
    nodes = [helper.make_node(op, ["x", "w", *bias], ["y"], name="product", **attributes)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*lead, CHANNELS])]
    if twice:
        nodes.append(helper.make_node(op, ["x", "w", *bias], ["z"], name="again", **attributes))
        outputs.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [*lead, CHANNELS]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [*lead, INPUTS])
    graph = helper.make_graph(nodes, "product", [x], outputs, initializers[: 1 + len(bias)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def deviations(noisy, x, trials=TRIALS, scale=1.0, sampling="outputs"):
    """Noise of the outputs [trials, rows, channels]."""
    session = nmtool.session(noisy, sampling=sampling, threads=1)

    def run(trial, scale):
        feeds = {"x": x, "noise_trial": np.array(trial), "noise_scale": np.array(scale, np.float32)}
        return session.run(["y"], feeds)[0].reshape(-1, CHANNELS).astype(np.float64)

    clean = run(0, 0.0)
    return np.stack([run(trial, scale) - clean for trial in range(trials)])


def sigmas(model, eta, per_channel):
    """Standard deviation of the noise of each channel's weights."""
    weights = numpy_helper.to_array(model.graph.initializer[0]).astype(np.float64)
    if weights.shape[0] != INPUTS:
        weights = weights.T
    axis = 0 if per_channel else None
    return np.broadcast_to(eta * (weights.max(axis) - weights.min(axis)), CHANNELS)


@pytest.mark.parametrize("per_channel", [False, True], ids=["layer", "channel"])
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"lead": ("batch", 3)},
        {"lead": (2, 3)},
        {"op": "Gemm"},
        {"op": "Gemm", "transB": 1, "alpha": 0.5, "beta": 2.0, "opset": 11},
    ],
    ids=str,
)
def test_mean_covariance_and_shape_of_the_noise(form, per_channel):
    model = product(**form)
    noisy = nmtool.inject(model, eta=0.1, per_channel=per_channel).model
    assert [each.form for each in nmtool.explain_session(noisy, sampling="outputs")] == ["outputs"]
    rows = np.random.default_rng(1).standard_normal((6, INPUTS)).astype(np.float32)
    lead = [2, 3] if len(form.get("lead", ("rows",))) == 2 else [6]
    noise = deviations(noisy, rows.reshape(*lead, INPUTS)) / (form.get("alpha", 1.0) * sigmas(model, 0.1, per_channel))
    factor = np.linalg.cholesky(rows.astype(np.float64) @ rows.T)
    white = np.linalg.solve(
        factor, noise.transpose(1, 0, 2).reshape(6, -1)
    )  # independent standard normals, if all holds
    count = white.shape[1]
    # 6 + 21 statistics, each beyond 4.5 standard errors with probability 7e-6.
    assert np.abs(white.mean(1)).max() < 4.5 / np.sqrt(count)
    covariance = white @ white.T / count
    errors = np.where(np.eye(6) > 0, np.sqrt(2 / count), np.sqrt(1 / count))
    assert (np.abs(covariance - np.eye(6)) < 4.5 * errors).all()
    assert stats.kstest(white.ravel(), "norm").pvalue > 1e-4
    across = noise.transpose(2, 0, 1).reshape(CHANNELS, -1)
    correlation = np.corrcoef(across) - np.eye(CHANNELS)
    assert np.abs(correlation).max() < 6 / np.sqrt(across.shape[1] / 6)  # rows are dependent: 400 samples count


def test_equal_rows_get_equal_noise():
    noisy = nmtool.inject(product(), eta=0.1).model
    rows = np.random.default_rng(1).standard_normal((4, INPUTS)).astype(np.float32)
    rows[2], rows[3] = rows[0], -2 * rows[1]
    noise = deviations(noisy, rows, trials=5)
    np.testing.assert_allclose(noise[:, 2], noise[:, 0], atol=2e-5)
    np.testing.assert_allclose(noise[:, 3], -2 * noise[:, 1], atol=2e-5)
    assert np.abs(noise[:, 0]).max() > 0.1


def test_more_rows_than_inputs():
    noisy = nmtool.inject(product(), eta=0.1).model
    rows = np.random.default_rng(1).standard_normal((3 * INPUTS, INPUTS)).astype(np.float32)
    noise = deviations(noisy, rows, trials=3)
    matrix, *_ = np.linalg.lstsq(rows.astype(np.float64), noise[0], rcond=None)  # the noisy matrix that explains it
    np.testing.assert_allclose(rows @ matrix, noise[0], atol=5e-3 * np.abs(noise).max())  # U has rounding errors' roots


def test_trial_and_scale():
    noisy = nmtool.inject(product(), eta=0.1).model
    rows = np.random.default_rng(1).standard_normal((4, INPUTS)).astype(np.float32)
    once, again, half = (deviations(noisy, rows, trials=2, scale=scale) for scale in (1.0, 1.0, 0.5))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_allclose(half, once / 2, atol=1e-5)
    assert np.abs(once[0] - once[1]).max() > 0.1


@pytest.mark.parametrize("lead", [("rows",), ("batch", 4)])
def test_both_forms_of_an_open_number_of_rows(lead, monkeypatch):
    monkeypatch.setattr("nmtool.passes.lowering.sample_outputs.rows_where_outputs_are_cheaper", lambda *_, **__: 8)
    noisy = nmtool.inject(product(lead=lead), eta=0.1).model
    (form,) = nmtool.explain_session(noisy, sampling="auto")
    assert (form.form, form.reason) == ("outputs", "up to 8 rows, else weights")
    for rows, same in ((8, False), (12, True)):
        x = np.random.default_rng(1).standard_normal((rows, INPUTS)).astype(np.float32)
        x = x.reshape(-1, *lead[1:], INPUTS)
        auto, weights = (deviations(noisy, x, trials=2, sampling=sampling) for sampling in ("auto", "weights"))
        assert np.allclose(auto, weights, atol=1e-5) == same


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"twice": True}, "other nodes draw on the same array"),
        ({"opset": 8}, "outputs can be sampled from opset 9 on"),
        ({"op": "Gemm", "transA": 1, "lead": (INPUTS,)}, "its left operand is transposed"),
    ],
    ids=str,
)
def test_what_cannot_be_sampled_keeps_its_weights_and_the_reason_is_given(form, reason):
    forms = nmtool.explain_session(nmtool.inject(product(**form), eta=0.1).model, sampling="outputs")
    assert {(each.form, each.reason) for each in forms} == {("weights", reason)}


def test_products_of_one_input_share_a_factor():
    model = product()
    second = numpy_helper.from_array(
        np.random.default_rng(5).standard_normal((INPUTS, CHANNELS)).astype(np.float32), "w2"
    )
    model.graph.initializer.append(second)
    model.graph.node.append(helper.make_node("MatMul", ["x", "w2"], ["z"], name="other"))
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["rows", CHANNELS]))
    compiled = nmtool.compile(nmtool.inject(model, eta=0.1).model, sampling="outputs")
    assert [node.op_type for node in compiled.graph].count("GramFactor") == 1


def test_the_crossover_grows_with_the_weights_and_is_none_for_few():
    assert rows_where_outputs_are_cheaper(8, 8, fused=True) == 0
    limits = [rows_where_outputs_are_cheaper(width, width, fused=True) for width in (512, 1024, 4096)]
    assert limits == sorted(limits)
    assert all(0 < limit < width for limit, width in zip(limits, (512, 1024, 4096), strict=True))


def test_onnx_accepts_a_lowered_model_but_for_the_operators_of_the_library():
    compiled = nmtool.compile(nmtool.inject(product(), eta=0.1).model, sampling="auto")
    onnx.checker.check_model(nmtool.model.to_proto(compiled))
