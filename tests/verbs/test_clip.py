"""Clipping: the limit is where it is said to be, only analog arrays change, and what was not clipped has a reason."""

import json

import numpy as np
import onnx
import pytest
from running import run_ort
from zoo import ZOO

from build import constant, function, model, weights
from nmtool.errors import ModelError, UsageError
from nmtool.model import to_proto
from nmtool.payloads import stored_arrays
from nmtool.verbs.clip import clip
from nmtool.verbs.inject import inject

W, B = weights(40, 6), 5 * weights(6)
TEXT = "g (float[2,40] x) => (float[2,6] y) { y = Gemm(x, w, b) }"


def arrays(path):
    return {name: onnx.numpy_helper.to_array(tensor) for name, tensor in stored_arrays(onnx.load(path))}


@pytest.mark.parametrize(("per_channel", "axes"), [(False, None), (True, 0)])
def test_weights_are_clipped_at_k_standard_deviations(per_channel, axes, tmp_path):
    report = clip(model(TEXT, w=W, b=B), tmp_path / "out.onnx", k=1.5, per_channel=per_channel)
    limit = 1.5 * W.std(axes, dtype=np.float64, keepdims=True)
    expected = np.clip(W, -limit, limit)
    written = arrays(tmp_path / "out.onnx")
    np.testing.assert_allclose(written["w"], expected, rtol=1e-6)
    np.testing.assert_array_equal(written["b"], B)
    (row,) = report.arrays
    assert (row.array, row.node, row.shape, row.weights, row.reason) == ("w", "y", (40, 6), 240, "")
    assert row.limit == pytest.approx(limit.max())
    assert row.clipped == np.mean(np.abs(W) > limit)
    assert row.range_before == pytest.approx(np.ptp(W))
    assert row.range_after == pytest.approx(np.ptp(expected))
    assert report.files == (tmp_path / "out.onnx",)


def test_a_wide_limit_leaves_the_file_as_it_is(tmp_path):
    source = model(TEXT, w=W, b=B)
    report = clip(source, tmp_path / "out.onnx", k=1e300)
    written = onnx.load(tmp_path / "out.onnx")
    assert json.loads(written.metadata_props.pop().value)["k"] == 1e300
    assert written == source
    assert report.arrays[0].clipped == 0


def test_a_channel_of_equal_weights_is_left_alone(tmp_path):
    w = W.copy()
    w[:, 2] = 3.0
    clip(model(TEXT, w=w, b=B), tmp_path / "out.onnx", k=1.0, per_channel=True)
    written = arrays(tmp_path / "out.onnx")["w"]
    assert (written[:, 2] == 3.0).all()
    assert (written[:, 1] != w[:, 1]).any()


def test_a_vector_is_one_array_also_per_channel(tmp_path):
    source = model("g (float[2,40] x) => (float[2] y) { y = MatMul(x, w) }", w=W[:, 0])
    clip(source, tmp_path / "out.onnx", k=1.0, per_channel=True)
    np.testing.assert_allclose(np.abs(arrays(tmp_path / "out.onnx")["w"]).max(), W[:, 0].std(), rtol=1e-6)


@pytest.mark.parametrize("dtype", [onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16])
def test_half_precision(dtype, tmp_path):
    name = onnx.TensorProto.DataType.Name(dtype).lower()
    source = model(
        f"g ({name}[2,40] x) => ({name}[2,6] y) {{ y = MatMul(x, w) }}",
        w=onnx.helper.make_tensor("w", dtype, W.shape, W.reshape(-1)),
    )
    clip(source, tmp_path / "out.onnx", k=1.0)
    written = arrays(tmp_path / "out.onnx")["w"].astype(np.float64)
    np.testing.assert_allclose(np.abs(written).max(), W.std(), rtol=1e-2)


def test_arrays_in_functions_are_clipped_for_all_calls(tmp_path):
    text = "g (float[2,40] x) => (float[2,6] y) { y = f.dense(x) }" + function(
        f"dense (x) => (y) {{ w = {constant(W)}\n y = MatMul(x, w) }}"
    )
    clip(model(text, imports=("f",)), tmp_path / "out.onnx", k=1.0)
    x, limit = weights(2, 40), W.std()
    (y,) = run_ort(onnx.load(tmp_path / "out.onnx"), {"x": x})
    np.testing.assert_allclose(y, x @ np.clip(W, -limit, limit), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("entry", [name for name, entry in ZOO.items() if entry.noisy])
def test_every_noisy_array_is_clipped_or_has_a_reason(entry, tmp_path):
    proto = ZOO[entry].proto
    options = {name: value for name, value in ZOO[entry].options.items() if name not in ("dynamic", "fresh")}
    try:
        noisy = inject(proto, **options).report
    except ModelError:
        pytest.skip("noisy with further options only")
    analog = {node.array for node in noisy.nodes if node.status == "noisy"}
    try:
        report = clip(proto, tmp_path / "out.onnx", k=1.0, **options)
    except ModelError as error:
        assert "stored" in error.message  # noqa: PT017
        return
    clipped = {row.array for row in report.arrays if not row.reason}
    assert clipped <= analog
    assert all("stored" in row.reason for row in report.arrays if row.array in analog - clipped)
    before, after = dict(stored_arrays(proto)), dict(stored_arrays(onnx.load(tmp_path / "out.onnx")))
    assert {name for name in before if before[name] != after[name]} <= clipped


def test_why_an_array_is_not_clipped(tmp_path):
    text = """g (float[2,4] x) => (float[2,4] y) <int8 zero = {0}, float step = {0.1}> {
      v = DequantizeLinear(q, step, zero)  [a] h = MatMul(x, v)
      s = Mul(w, w)  [b] i = MatMul(h, s)
      [c] j = MatMul(i, w)  [d] y = MatMul(j, u) }"""
    q = np.arange(16, dtype=np.int8).reshape(4, 4)
    proto = model(text, q=q, w=weights(4, 4), u=weights(4, 4, seed=1))
    report = clip(proto, tmp_path / "out.onnx", skip_last=1)
    reasons = {row.node: row.reason for row in report.arrays}
    assert reasons == {
        "a": "it is stored as INT8 codes: clip the model before it is quantized",
        "b": "it is computed from other constants, and only what is stored can be clipped",
        "c": "",
        "d": "one of the last 1 (--skip-last)",
    }
    assert report.to_json()["arrays"][0]["limit"] is None


def test_a_shared_array_is_clipped_when_any_of_its_nodes_is_analog(tmp_path):
    text = "g (float[2,4] x) => (float[2,4] y) { [a] h = MatMul(x, w)  [b] y = MatMul(h, w) }"
    (row,) = clip(model(text, w=weights(4, 4)), tmp_path / "out.onnx", exclude=["a"]).arrays
    assert (row.node, row.reason) == ("b", "")


@pytest.mark.parametrize("k", [0, -1, float("nan"), float("inf")])
def test_k_out_of_range(k, tmp_path):
    with pytest.raises(UsageError, match="k must be a finite number > 0"):
        clip(model(TEXT, w=W, b=B), tmp_path / "out.onnx", k=k)


def test_nothing_to_clip(tmp_path):
    with pytest.raises(ModelError, match="nothing to clip: the model has no operator that maps"):
        clip(model("g (float[2] x) => (float[2] y) { y = Relu(x) }"), tmp_path / "out.onnx")
    with pytest.raises(ModelError, match=r"nothing to clip: y: one of the last 1"):
        clip(model(TEXT, w=W, b=B), tmp_path / "out.onnx", skip_last=1)
    with pytest.raises(ModelError, match="noisy already"):
        clip(to_proto(inject(model(TEXT, w=W, b=B)).model), tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())
