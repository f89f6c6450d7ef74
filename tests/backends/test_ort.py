"""ONNX Runtime sessions: every way to give a model, and errors that say what to do."""

import logging

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import onnxruntime
import pytest

from nmtool import backends
from nmtool.backends import files, ort
from nmtool.errors import ModelError, SetupError, UsageError
from nmtool.library import library_path

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


def test_a_run_for_no_outputs_gives_none(model):
    assert backends.load(model).run([], {"x": X, "ids": np.zeros((1, 2, 4), np.int64)}) == []


CUSTOM = """<ir_version: 8, opset_import: ["": 18, "nmtool": 1]>
    g (float[8] x, float std, int64 trial, float scale) => (float[8] y)
    { y = nmtool.GaussianNoise <seed = 1, stream = 2, draw = 0, dtype = 1> (x, std, trial, scale) }"""


def test_operator_libraries_of_the_user(workspace):
    model = onnx.parser.parse_model(CUSTOM)  # without the function that defines the operator
    with pytest.raises(ModelError, match="GaussianNoise"):
        backends.load(model, library=False)
    (workspace / "mine.so").write_bytes(library_path().read_bytes())
    feeds = {name: np.array(1, dtype) for name, dtype in (("std", "f4"), ("trial", "i8"), ("scale", "f4"))}
    expected = backends.load(model).run(["y"], {"x": np.zeros(8, np.float32), **feeds})
    runner = backends.load(model, library=False, custom_ops=["mine.so"])
    np.testing.assert_array_equal(runner.run(["y"], {"x": np.zeros(8, np.float32), **feeds}), expected)


@pytest.mark.parametrize("name", ["missing.so", "broken.so"])
def test_an_operator_library_that_does_not_load_is_named(model, tmp_path, name):
    (tmp_path / "broken.so").write_bytes(b"not a library")
    with pytest.raises(SetupError, match=name):
        ort.session(model, custom_ops=[tmp_path / name])


def test_cuda_by_name_is_cuda_or_nothing(model):
    if "CUDAExecutionProvider" not in ort.available_providers():
        with pytest.raises(SetupError, match="has no CUDAExecutionProvider") as caught:
            backends.load(model, "onnxruntime-cuda")
        assert "nmtool[gpu]" in str(caught.value.hint)
        return
    assert backends.load(model, "onnxruntime-cuda").description.endswith("(CUDA)")


def test_device_cpu_is_the_cpu_alone(model):
    assert ort.session(model, device="cpu").get_providers() == ["CPUExecutionProvider"]


def test_device_cuda_is_an_error_without_it(model, monkeypatch):
    monkeypatch.setattr(ort, "available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(SetupError, match="has no CUDAExecutionProvider"):
        ort.session(model, device="cuda")


def test_a_device_and_providers_exclude_each_other(model):
    with pytest.raises(UsageError, match="device 'cpu' and providers"):
        ort.session(model, device="cpu", providers=["cpu"])


def test_the_backend_of_cuda_has_no_other_device(model):
    with pytest.raises(UsageError, match="cannot run on 'cpu'"):
        backends.load(model, "onnxruntime-cuda", device="cpu")


def test_cuda_that_falls_back_to_the_cpu_is_an_error(model, monkeypatch):
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "available_providers", lambda: providers)
    monkeypatch.setattr(ort, "_providers", lambda wanted: ["CPUExecutionProvider"])  # what the runtime then does
    with pytest.raises(SetupError, match="cannot use its CUDAExecutionProvider"):
        backends.load(model, "onnxruntime-cuda")
