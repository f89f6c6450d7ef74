"""NM0: the file. Each rule passes a good file, and names what is wrong with a bad one."""

import numpy as np
import onnx
import pytest
from checking import findings, status
from onnx import TensorProto, helper

import nmtool
from build import model, weights
from nmtool.errors import ModelError
from nmtool.model import save

TEXT = "g (float[N,6] x) => (float[N,4] y) { [first] h = MatMul(x, w)  [second] y = Add(h, b) }"
FILE_RULES = ("NM001", "NM003", "NM004", "NM005", "NM006", "NM007")


@pytest.fixture
def good():
    return model(TEXT, w=weights(6, 4), b=weights(4))


def with_values(proto, array, values):
    (tensor,) = [tensor for tensor in proto.graph.initializer if tensor.name == array]
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, array))
    return proto


@pytest.fixture
def external(good, tmp_path):
    """The model with its weights in a data file."""
    path = tmp_path / "m.onnx"
    onnx.save(good, path, save_as_external_data=True, location="m.data", size_threshold=0)
    return path


@pytest.mark.parametrize("code", FILE_RULES)
def test_a_good_file_passes(good, code, tmp_path):
    assert findings(good, code) == []
    onnx.save(good, tmp_path / "m.onnx")
    assert findings(tmp_path / "m.onnx", code) == []
    assert findings(nmtool_injected(good, tmp_path), code) == []


def nmtool_injected(proto, folder):
    path = folder / "noisy.onnx"
    nmtool.inject(proto, eta=0.05).save(path, force=True)
    return path


def test_good_external_data_passes(external):
    for code in FILE_RULES:
        assert findings(external, code) == []


def test_invalid_models_are_refused(good):
    good.graph.node[1].attribute.append(helper.make_attribute("axis", 1))
    ((severity, message),) = findings(good, "NM001")
    assert severity == "error"
    assert "the checker refuses it: Unrecognized attribute: axis for operator Add" in message


def test_wrong_shapes_are_refused(good):
    good.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 5
    ((_, message),) = findings(good, "NM001")
    assert "strict shape inference fails" in message
    assert "(4)" in message
    assert "(5)" in message


def test_graphs_in_disorder_are_refused(good):
    nodes = list(good.graph.node)
    del good.graph.node[:]
    good.graph.node.extend(reversed(nodes))
    assert "topological" in findings(good, "NM001")[0][1]


def test_what_the_checker_lets_through_is_refused_too(good):
    good.graph.initializer.append(good.graph.initializer[0])
    assert findings(good, "NM001")[0][0] == "error"


def test_a_file_that_is_no_model_is_an_error_of_its_own(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"\xff\xfe no model")
    with pytest.raises(ModelError, match="not an ONNX model"):
        nmtool.check(tmp_path / "m.onnx")


def test_versions_that_a_runtime_does_not_know_are_refused(good):
    good.ir_version = 99
    found = dict(findings(good, "NM002", backends=["onnxruntime"]))
    assert "onnxruntime does not load it (IR 99, ai.onnx 18)" in found["error"]


def test_loaded_models_are_noted(good):
    (outcome,) = nmtool.check(good, select=["NM002"], backends=["onnxruntime", "reference"]).outcomes
    assert [each.message for each in outcome.findings] == ["onnxruntime loads it", "reference loads it"]
    assert "onnxruntime 1." in outcome.findings[0].facts["runtime"]


def test_missing_data_is_refused_once(external):
    (external.parent / "m.data").unlink()
    assert "external data of 'w' is missing" in findings(external, "NM003")[0][1]
    assert status(external, "NM001") == "not checked"
    assert status(external, "NM006") == "passed"


def test_truncated_data_is_refused(external):
    data = external.parent / "m.data"
    data.write_bytes(data.read_bytes()[:-8])
    ((severity, message),) = findings(external, "NM003")
    assert severity == "error"
    assert "is truncated" in message


@pytest.mark.parametrize("location", ["/etc/passwd", "../m.data"])
def test_data_elsewhere_is_refused(external, location):
    proto = onnx.load(external, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    external.write_bytes(proto.SerializeToString())
    assert all("lies outside the model's folder" in message for _, message in findings(external, "NM003"))


def test_unknown_operators_are_refused():
    proto = model("g (float[2,3] x) => (float[2,3] y) { [mine] y = com.example.Magic(x) }", imports=("com.example",))
    assert findings(proto, "NM004") == [("error", "node 'mine' is a com.example::Magic, of which nothing is known")]
    assert findings(proto, "NM004", custom_ops=["magic.so"]) == []


def test_operators_of_one_runtime_are_a_warning():
    text = "g (float[2,3] x) => (float[2,3] y) { [mine] y = com.microsoft.Gelu(x) }"
    ((severity, message),) = findings(model(text, imports=("com.microsoft",)), "NM004")
    assert (severity, message) == ("warning", "node 'mine' is a com.microsoft::Gelu, which only ONNX Runtime has")


def test_layouts_of_one_processor_are_refused():
    text = "g (float[1,16,4,4] x) => (float[1,16,4,4] y) { [mine] y = com.microsoft.nchwc.ReorderOutput(x) }"
    ((severity, message),) = findings(model(text, imports=("com.microsoft.nchwc",)), "NM004")
    assert severity == "error"
    assert "fits one kind of processor only" in message


@pytest.mark.parametrize("name", ["NoisyMatMul", "GaussianNoise", "Philox"])
def test_noisy_nodes_without_a_body_are_refused(good, tmp_path, name):
    proto = onnx.load(nmtool_injected(good, tmp_path))
    kept = [function for function in proto.functions if function.name != name]
    del proto.functions[:]
    proto.functions.extend(kept)
    ((severity, message),) = findings(proto, "NM005")
    assert severity == "error"
    assert f"the file has no function nmtool::{name}" in message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(good, bad):
    values = weights(6, 4)
    values[2, 3] = bad
    ((severity, message),) = findings(with_values(good, "w", values), "NM006")
    assert (severity, message) == ("error", "array 'w' (float) has 1 of 24 that are NaN or infinite")


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e-40), (np.float16, 1e-6), (np.float64, 1e-310)])
def test_floods_of_denormals_are_a_warning(good, dtype, size):
    values = weights(6, 4).astype(dtype)
    assert findings(with_values(good, "w", values), "NM006") == []
    values[:2] = size
    ((severity, message),) = findings(with_values(good, "w", values), "NM006")
    assert severity == "warning"
    assert "33% of array 'w'" in message


def test_arrays_in_files_are_read(external):
    proto = onnx.load(external)
    with_values(proto, "b", np.full(4, np.inf, np.float32))
    onnx.save(proto, external, save_as_external_data=True, location="m.data", size_threshold=0)
    assert "array 'b' (float) has 4 of 4" in findings(external, "NM006")[0][1]


def test_files_too_large_are_refused(good, monkeypatch):
    from nmtool.checks.rules import nm007_size

    monkeypatch.setattr(nm007_size, "_LIMIT", good.ByteSize() + 1)
    assert findings(good, "NM007")[0][0] == "warning"
    monkeypatch.setattr(nm007_size, "_LIMIT", good.ByteSize())
    assert findings(good, "NM007")[0][0] == "error"


def test_bfloat16_and_integers_are_read(good):
    good.graph.initializer[1].CopyFrom(
        helper.make_tensor("b", TensorProto.BFLOAT16, [4], [1.0, 2.0, 3.0, float("nan")])
    )
    assert findings(good, "NM006") == [("error", "array 'b' (bfloat16) has 1 of 4 that are NaN or infinite")]


def test_a_saved_model_of_two_files_passes(good, tmp_path):
    noisy = nmtool.inject(good, eta=0.1).model
    save(noisy, tmp_path / "n.onnx")
    assert status(tmp_path / "n.onnx", "NM003") == "passed"
