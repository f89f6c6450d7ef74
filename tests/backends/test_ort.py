"""ONNX Runtime sessions: every way to give a model, and errors that say what to do."""

import logging

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import onnxruntime
import pytest

from nmtool import backends
from nmtool.backends import Port, files, ort
from nmtool.errors import ModelError, SetupError, UsageError

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def model() -> onnx.ModelProto:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17], metadata_props: ["author": "test"]>
        g (float[N, 3] x, float factor = {2.0}, int64[1, n, 4] ids) => (float[N, 2] y, float[N, 3] z)
        { z = Mul(x, factor)  y = MatMul(z, W) }"""
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((3, 2), np.float32), "W"))
    return model


def check(session: onnxruntime.InferenceSession) -> None:
    assert isinstance(session, onnxruntime.InferenceSession)
    feeds = {"x": X, "ids": np.zeros((1, 2, 4), np.int64)}
    np.testing.assert_array_equal(session.run(["z"], feeds)[0], 2 * X)


def test_a_model_may_be_a_path_a_proto_or_an_ir_model(model, tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    for source in (path, str(path), model, ir.from_proto(model)):
        check(ort.session(source))


def test_external_data_is_read_from_where_it_is(model, tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=0)
    check(ort.session(path))
    check(ort.session(ir.load(path)))
    (tmp_path / "m.data").unlink()
    with pytest.raises(ModelError, match=r"m\.onnx"):
        ort.session(path)


def test_models_too_large_for_one_message_go_through_a_file(model, monkeypatch):
    monkeypatch.setattr(files, "_IN_MEMORY_LIMIT", 0)
    check(ort.session(model))
    check(ort.session(ir.from_proto(model)))


@pytest.mark.parametrize("backend", backends.BACKENDS)
def test_runners_know_their_model(model, backend):
    runner = backends.load(model, backend)
    assert list(runner.inputs) == ["x", "ids", "factor"]
    assert runner.inputs["x"] == Port("x", np.dtype(np.float32), (None, 3))
    assert runner.inputs["ids"] == Port("ids", np.dtype(np.int64), (1, None, 4))
    assert runner.inputs["factor"].optional
    assert list(runner.outputs) == ["y", "z"]
    assert runner.metadata == {"author": "test"}
    feeds = {"x": X, "ids": np.zeros((1, 2, 4), np.int64)}
    z, y = runner.run(["z", "y"], feeds | {"factor": np.array(3, np.float32)})
    np.testing.assert_array_equal(z, 3 * X)
    np.testing.assert_array_equal(y, np.repeat((3 * X).sum(axis=1, keepdims=True), 2, axis=1))


@pytest.mark.parametrize("backend", backends.BACKENDS)
def test_a_run_that_fails_is_a_model_error(model, backend):
    runner = backends.load(model, backend)
    with pytest.raises(ModelError, match="failed to run"):
        runner.run(["y"], {"x": np.ones((2, 5), np.float32), "ids": np.zeros((1, 2, 4), np.int64)})


@pytest.mark.parametrize("backend", backends.BACKENDS)
@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100, None])
def test_files_that_are_no_models(tmp_path, backend, content):
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.onnx"):
        backends.load(path, backend)


def test_unknown_backends_are_named():
    with pytest.raises(UsageError, match="abacus") as caught:
        backends.load("m.onnx", "abacus")
    assert "onnxruntime" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (lambda m: setattr(m, "ir_version", 99), "IR version: 99", "ir_version"),
        (lambda m: setattr(m.opset_import[0], "version", 99), "Opset 99", "older opset"),
        (lambda m: setattr(m.graph.node[0], "op_type", "Frobnicate"), "Frobnicate", "operator library"),
        (lambda m: m.graph.node[0].input.append("x"), "input size 3", None),
        (lambda m: m.graph.node[0].input.__setitem__(0, "y"), "cannot load", None),
    ],
)
def test_models_the_runtime_rejects(model, change, message, hint):
    change(model)
    with pytest.raises(ModelError, match=message) as caught:
        ort.session(model)
    assert "onnxruntime_src" not in caught.value.message
    assert hint is None or hint in str(caught.value.hint)


def test_options_reach_the_session(model, tmp_path):
    session = ort.session(model, threads=1, providers=["cpu"], optimization="none", profile=str(tmp_path / "p"))
    assert session.get_session_options().intra_op_num_threads == 1
    assert session.get_providers() == ["CPUExecutionProvider"]
    level = session.get_session_options().graph_optimization_level
    assert level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert session.end_profiling().startswith(str(tmp_path / "p"))


def test_a_provider_that_is_not_there_is_a_setup_error(model):
    with pytest.raises(SetupError, match="warp") as caught:
        ort.session(model, providers=["warp"])
    assert "cpu" in str(caught.value.hint)


def test_without_the_library_a_session_works_and_warns_once(model, monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("NMTOOL_OPS_LIBRARY", str(tmp_path / "missing.so"))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            check(ort.session(model))
    assert caplog.text.count("standard operators") == 1
    assert not backends.load(model).library


def test_a_library_that_does_not_load_is_a_setup_error(model, monkeypatch, tmp_path):
    (tmp_path / "broken.so").write_bytes(b"not a library")
    monkeypatch.setenv("NMTOOL_OPS_LIBRARY", str(tmp_path / "broken.so"))
    with pytest.raises(SetupError, match=r"broken\.so"):
        ort.session(model)
    check(ort.session(model, library=False))


def test_an_output_that_is_not_a_tensor_is_named():
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]> g (float[2] x) => (seq(float[2]) s) { s = SequenceConstruct(x) }"""
    )
    with pytest.raises(ModelError, match="'s' is not a tensor"):
        backends.load(model).run(["s"], {"x": np.ones(2, np.float32)})
