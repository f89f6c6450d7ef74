"""Lifting a model to a higher opset."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser, version_converter

from nmtool.errors import ModelError, UsageError
from nmtool.model import load, save, to_proto
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import inject
from nmtool.verbs.lift import lift

WEIGHTS = np.random.default_rng(0).standard_normal((4, 300)).astype(np.float32)


def parse(body: str, opset: int = 13) -> onnx.ModelProto:
    proto = parser.parse_model(f'<ir_version: 7, opset_import: ["" : {opset}, "custom" : 1]>\n{body}')
    proto.graph.initializer.append(numpy_helper.from_array(WEIGHTS, "w"))
    return proto


def matmul(opset: int = 13) -> onnx.ModelProto:
    return parse("g (float[N,4] x) => (float[N,300] y) { y = MatMul(x, w) }", opset)


def note(proto: onnx.ModelProto, opset: int = 18) -> str:
    _, (text,) = lift(load(proto), opset)
    return text


def test_lifted_model_computes_the_same_and_has_exact_noise():
    result = inject(matmul(), opset=18)
    assert result.report.notes == ["lifted from opset 13 to 18; outputs on random inputs differ by at most 0.0e+00"]
    assert result.model.opset_imports[""] == 18
    onnx.checker.check_model(to_proto(result.model), full_check=True)
    np.testing.assert_array_equal(load(matmul()).graph.initializers["w"].const_value.numpy(), WEIGHTS)


def test_the_same_opset_changes_nothing():
    model = load(matmul(18))
    assert lift(model, 18) == (model, [])


@pytest.mark.parametrize("opset", [-1, 12, onnx.defs.onnx_opset_version() + 1])
def test_opset_out_of_range(opset):
    with pytest.raises(UsageError, match=f"must be from 13 .* not {opset}"):
        lift(load(matmul()), opset)


def test_external_data_stays_in_its_file(tmp_path):
    source = tmp_path / "m.onnx"
    proto = matmul()
    onnx.save(proto, source, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert inject(source, opset=18).save(tmp_path / "noisy.onnx") == [tmp_path / "noisy.onnx"]
    save(bake(tmp_path / "noisy.onnx", scale=0), tmp_path / "chip.onnx")
    np.testing.assert_array_equal(load(tmp_path / "chip.onnx").graph.initializers["w"].const_value.numpy(), WEIGHTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chip.onnx", "m.onnx", "noisy.onnx", "w.bin"]


def test_metadata_and_annotations_stay():
    proto = matmul()
    for part in (proto, proto.graph, proto.graph.node[0], proto.graph.input[0]):
        part.metadata_props.add(key="who", value=type(part).__name__)
    annotation = proto.graph.quantization_annotation.add(tensor_name="y")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
    lifted = to_proto(lift(load(proto), 18)[0])
    for part in (lifted, lifted.graph, lifted.graph.node[0], lifted.graph.input[0]):
        assert part.metadata_props[0].value == type(part).__name__
    assert lifted.graph.quantization_annotation == proto.graph.quantization_annotation


def test_functions_are_refused_not_lost():
    proto = matmul()
    proto.functions.append(parser.parse_function('<domain: "f", opset_import: ["" : 13]> g (a) => (b) { b = Relu(a) }'))
    with pytest.raises(ModelError, match="model-local functions, such as f::g"):
        lift(load(proto), 18)


def test_converter_that_gives_up_is_named(monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("no adapter for Upsample")

    monkeypatch.setattr(version_converter, "convert_version", fail)
    with pytest.raises(ModelError, match="cannot lift the model from opset 13 to 18: no adapter for Upsample"):
        lift(load(matmul()), 18)


def test_converter_that_changes_the_result_is_caught(monkeypatch):
    def change(proto: onnx.ModelProto, opset: int) -> onnx.ModelProto:
        changed = onnx.ModelProto()
        changed.CopyFrom(proto)
        changed.opset_import[0].version = opset
        changed.graph.node[0].output[0] = "z"
        changed.graph.node.append(helper.make_node("Neg", ["z"], ["y"]))
        return changed

    monkeypatch.setattr(version_converter, "convert_version", change)
    with pytest.raises(ModelError, match="changed what the model computes: output 'y'"):
        lift(load(matmul()), 18)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "g (float[N,M] x) => (float[N,300] y) {"
            "t = Constant<value = int64[2] {-1, 4}>()\n q = Reshape(x, t)\n y = MatMul(q, w) }",
            "not compared: onnxruntime failed to run the model: .*Reshape",
        ),
        (
            "g (string[N] s, float[N,4] x) => (float[N,300] y) { y = MatMul(x, w) }",
            "not compared: cannot make up input 's'",
        ),
        (
            "g (float[N,4] x) => (float[N,300] y) { a = MatMul(x, w)\n r = RandomUniformLike(a)\n y = Add(a, r) }",
            "not compared: the model draws random numbers",
        ),
        (
            "g (float[N,4] x) => (float[N,300] y) { a = custom.Thing(x)\n y = MatMul(a, w) }",
            "not compared: .*cannot load the model: .*custom",
        ),
    ],
)
def test_what_cannot_run_is_not_compared(body, reason, capfd):
    import re

    assert re.search(reason, note(parse(body)), re.DOTALL)
    assert "sequential_executor" not in capfd.readouterr().err


def test_silero_needs_longer_inputs_than_we_can_know():
    path = Path(__file__).parents[3] / "shared/models/silero-vad-16k-op15.onnx"
    if not path.exists():
        pytest.skip("the model is not there")
    (text,) = inject(path, opset=18).report.notes
    assert text.startswith("lifted from opset 15 to 18; not compared: onnxruntime failed to run the model")
