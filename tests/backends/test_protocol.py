"""What every backend promises, on each that is installed: a model runs, or an error names the engine and its reason."""

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from running import noise

from build import model as build
from build import weights
from nmtool import backends
from nmtool.backends import Port
from nmtool.errors import ModelError
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import inject
from nmtool.verbs.run import run

X = np.arange(6, dtype=np.float32).reshape(2, 3)
IDS = np.zeros((1, 2, 4), np.int64)
EXACT = {"onnxruntime", "onnxruntime-node", "onnxruntime-web", "reference", "torch"}
"""Backends that compute the specified noise; the others refuse to."""


@pytest.fixture
def model() -> onnx.ModelProto:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17], metadata_props: ["author": "test"]>
        g (float[N, 3] x, float factor = {2.0}, int64[1, n, 4] ids) => (float[N, 2] y, float[N, 3] z)
        { z = Mul(x, factor)  y = MatMul(z, W) }"""
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((3, 2), np.float32), "W"))
    return model


@pytest.fixture(scope="module")
def noisy() -> ir.Model:
    text = "g (float[N,40] x) => (float[N,20] z) { y = MatMul(x, v) r = Relu(y) z = MatMul(r, w) }"
    return inject(build(text, v=weights(40, 30), w=weights(30, 20)), seed=-(2**40), eta=0.1).model


def test_runners_know_their_model(model, backend):
    runner = backends.load(model, backend)
    assert list(runner.inputs) == ["x", "ids", "factor"]
    assert runner.inputs["x"] == Port("x", np.dtype(np.float32), (None, 3))
    assert runner.inputs["ids"] == Port("ids", np.dtype(np.int64), (1, None, 4))
    assert runner.inputs["factor"].optional
    assert list(runner.outputs) == ["y", "z"]
    assert runner.metadata == {"author": "test"}
    assert backends.availability(backend).version == runner.description


def test_inputs_with_defaults_may_be_fed_or_not(model, backend):
    runner = backends.load(model, backend)
    feeds = {"x": X, "ids": IDS}
    for given, factor in (({}, 2), ({"factor": np.array(3, np.float32)}, 3), ({}, 2)):
        z, y = runner.run(["z", "y"], feeds | given)
        np.testing.assert_array_equal(z, factor * X)
        np.testing.assert_array_equal(y, np.repeat((factor * X).sum(axis=1, keepdims=True), 2, axis=1))


def test_batches_may_differ_from_run_to_run(model, backend):
    runner = backends.load(model, backend)
    for size in (2, 1, 5):
        x = np.ones((size, 3), np.float32)
        (y,) = runner.run(["y"], {"x": x, "ids": np.zeros((1, size, 4), np.int64)})
        np.testing.assert_array_equal(y, np.full((size, 2), 6))


@pytest.mark.parametrize(
    "change",
    [
        {"x": np.ones((2, 5), np.float32)},
        {"x": X.astype(np.float64)},
        {"x": X[0]},
        {"x": None},
    ],
)
def test_arrays_that_do_not_fit_are_a_model_error(model, backend, change):
    if backend == "reference" and change["x"] is not None and change["x"].shape != (2, 5):
        pytest.skip("the evaluator computes with what it gets")
    feeds = {name: array for name, array in ({"x": X, "ids": IDS} | change).items() if array is not None}
    with pytest.raises(ModelError, match="failed to run"):
        backends.load(model, backend).run(["y"], feeds)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100, None])
def test_files_that_are_no_models(tmp_path, backend, content):
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.onnx"):
        backends.load(path, backend)


def test_an_operator_that_there_is_not(backend):
    model = build("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    model.graph.node[0].op_type = "Frobnicate"
    with pytest.raises(ModelError, match="Frobnicate"):
        backends.load(model, backend).run(["y"], {"x": np.ones(2, np.float32)})


def test_external_data(model, backend, tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=0)
    (y,) = backends.load(path, backend).run(["y"], {"x": X, "ids": IDS})
    np.testing.assert_array_equal(y, np.repeat((2 * X).sum(axis=1, keepdims=True), 2, axis=1))


@pytest.mark.parametrize("dtype", ["float16", "double", "int64", "int32", "bool"])
def test_types(backend, dtype):
    array = np.array([[1, 0, 3]], dtype)
    model = build(f"g ({dtype}[N,3] x) => ({dtype}[3,N] y) {{ y = Transpose <perm = [1, 0]> (x) }}")
    (y,) = backends.load(model, backend).run(["y"], {"x": array})
    assert y.dtype == array.dtype
    np.testing.assert_array_equal(y, array.T)


def test_scalars_and_no_elements(backend):
    model = build("g (float[N] x, float s) => (float[N] y, float t) { y = Mul(x, s) t = Neg(s) }")
    runner = backends.load(model, backend)
    for size in (3, 0):
        y, t = runner.run(["y", "t"], {"x": np.ones(size, np.float32), "s": np.array(2, np.float32)})
        np.testing.assert_array_equal(y, np.full(size, 2))
        assert t.shape == ()
        assert t == -2


def test_functions_of_the_model(backend):
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17, "f": 1]> g (float[N] x) => (float[N] y) { y = f.twice(x) }
        <domain: "f", opset_import: ["": 17]> twice (a) => (b) { b = Add(a, a) }"""
    )
    (y,) = backends.load(model, backend).run(["y"], {"x": X[0]})
    np.testing.assert_array_equal(y, 2 * X[0])


def test_noise_is_the_specified_one_or_refused(noisy, backend):
    x = weights(3, 40)
    if backend not in EXACT:
        with pytest.raises(ModelError, match="other noise") as caught:
            backends.load(noisy, backend)
        assert "nmtool bake" in str(caught.value.hint)
        return
    for trial, scale in ((0, 1.0), (2**32 - 1, 0.5), (3, 0.0)):
        actual = run(noisy, {"x": x}, trial=trial, scale=scale, backend=backend)["z"]
        expected = run(bake(noisy, trial=trial, scale=scale), {"x": x})["z"]
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_baked_models_run_everywhere(noisy, backend):
    x = weights(3, 40)
    baked = bake(noisy, trial=5)
    expected = run(baked, {"x": x}, backend="reference")["z"]
    actual = run(baked, {"x": x}, backend=backend)["z"]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_noise_below_opset_18_has_its_distribution_or_is_refused(backend):
    w = np.zeros((64, 64), np.float32)
    w[0, 0] = 1
    model = inject(build("g (float[64,64] x) => (float[64,64] y) { y = MatMul(x, w) }", opset=13, w=w), eta=0.5).model
    if backend not in EXACT:
        with pytest.raises(ModelError, match="other noise"):
            backends.load(model, backend)
        return
    feeds = {"x": np.eye(64, dtype=np.float32)} | noise(1)
    draws = backends.load(model, backend).run(["y"], feeds)[0] - w
    assert abs(draws.std() / 0.5 - 1) < 0.1
    assert abs(draws.mean()) < 0.05
