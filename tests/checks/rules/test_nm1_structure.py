"""NM1: the structure. What nmtool's verbs make of a model passes against it; everything else is named."""

import numpy as np
import onnx
import pytest
from checking import findings, status
from onnx import helper

import nmtool
from build import model, weights

TEXT = """g (float[N,6] x) => (float[N,4] y) {
    [first] h = MatMul(x, w)  [act] a = Relu(h)  [second] g = Gemm<alpha = 1.0>(a, v, b)
    axes = Constant<value_ints = [1]>()  s = ReduceSum<keepdims = 1>(g, axes)  [last] y = Sub(g, s) }"""
STRUCTURE = ("NM101", "NM102", "NM103", "NM104")


@pytest.fixture
def original(tmp_path):
    path = tmp_path / "original.onnx"
    onnx.save(model(TEXT, w=weights(6, 5), v=weights(5, 4), b=weights(4)), path)
    return path


@pytest.fixture
def noisy(original, tmp_path):
    path = tmp_path / "noisy.onnx"
    nmtool.inject(original, eta=0.05).save(path)
    return path


def edited(path, change):
    """A copy of the file after `change(proto)`."""
    proto = onnx.load(path)
    change(proto)
    target = path.with_name("edited.onnx")
    onnx.save(proto, target)
    return target


@pytest.mark.parametrize("code", STRUCTURE[:3])
def test_without_an_original_nothing_is_compared(original, code):
    assert status(original, code) == "not checked"


@pytest.mark.parametrize("code", STRUCTURE)
def test_what_inject_strip_and_clip_make_passes(original, noisy, code, tmp_path):
    assert findings(noisy, code, against=original) == []
    nmtool.save(nmtool.strip(noisy), tmp_path / "clean.onnx")
    assert findings(tmp_path / "clean.onnx", code, against=original) == []
    nmtool.clip(original, tmp_path / "clipped.onnx", k=1.0)
    assert findings(tmp_path / "clipped.onnx", code, against=original) == []


@pytest.mark.parametrize("code", STRUCTURE)
@pytest.mark.parametrize("text", [TEXT, TEXT.replace("[last] y = Sub(g, s)", "t = MatMul(x, w)  [last] y = Sub(g, s)")])
def test_chips_pass(code, text, tmp_path):
    onnx.save(model(text, w=weights(6, 5), v=weights(5, 4), b=weights(4)), tmp_path / "original.onnx")
    baked = nmtool.bake(nmtool.inject(tmp_path / "original.onnx", eta=0.05, exclude=["t"] * (text != TEXT)).model)
    nmtool.save(baked, tmp_path / "chip.onnx")
    assert findings(tmp_path / "chip.onnx", code, against=tmp_path / "original.onnx") == []


def test_lifted_models_are_compared_with_the_lifted_original(tmp_path):
    text = "g (float[N,6] x) => (float[N,4] y) { [first] h = MatMul(x, w)  y = Softmax<axis = 1>(h) }"
    onnx.save(model(text, opset=13, w=weights(6, 4)), tmp_path / "old.onnx")
    nmtool.inject(tmp_path / "old.onnx", opset=18).save(tmp_path / "noisy.onnx")
    for code in STRUCTURE:
        assert findings(tmp_path / "noisy.onnx", code, against=tmp_path / "old.onnx") == []


def test_other_inputs_and_outputs_are_named(original):
    def rename(proto):
        proto.graph.output[0].name = proto.graph.node[-1].output[0] = "z"

    def retype(proto):
        proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 8

    ((severity, message),) = findings(edited(original, rename), "NM101", against=original)
    assert (severity, message) == ("error", "outputs are z; the original's are y")
    ((_, message),) = findings(edited(original, retype), "NM101", against=original)
    assert message == "input 'x' is float[8,6]; the original's is float[N,6]"


def rename_node(proto):
    proto.graph.node[1].name = "activation"


def remove_node(proto):
    proto.graph.node[2].input[0] = "h"
    del proto.graph.node[1]


def change_operator(proto):
    proto.graph.node[1].op_type = "Sigmoid"


def change_attribute(proto):
    proto.graph.node[2].attribute[0].f = 2.0


def swap_inputs(proto):
    inputs = list(proto.graph.node[-1].input)
    proto.graph.node[-1].input[:] = reversed(inputs)


def rename_array(proto):
    proto.graph.initializer[1].name = proto.graph.node[2].input[1] = "weight"


def reshape_array(proto):
    del proto.graph.initializer[2].dims[:]
    proto.graph.initializer[2].dims.extend([1, 4])


def other_opset(proto):
    proto.opset_import[0].version = 17


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (rename_node, ["node 'act' is gone", "node 'activation' is not in the original"]),
        (remove_node, ["node 'act' is gone"]),
        (change_operator, ["node 'act' differs in its operator"]),
        (change_attribute, ["node 'second' differs in its attributes"]),
        (swap_inputs, ["node 'last' differs in its inputs"]),
        (reshape_array, ["array 'b' is float[1,4]; the original's is float[4]"]),
        (other_opset, ["opsets are {'': 17}; the original's are {'': 18}"]),
    ],
)
def test_another_graph_is_named(original, change, messages):
    found = findings(edited(original, change), "NM102", against=original)
    assert found == [("error", message) for message in messages]


def test_renamed_arrays_are_named(original):
    found = [message for _, message in findings(edited(original, rename_array), "NM102", against=original)]
    assert found == [
        "array 'v' is gone",
        "array 'weight' is not in the original",
        "node 'second' differs in its inputs",
    ]


def test_long_lists_are_cut(original):
    def rename_all(proto):
        for node in proto.graph.node:
            node.name += "x"

    (outcome,) = nmtool.check(edited(original, rename_all), against=original, select=["NM102"]).outcomes
    assert len(outcome.findings) == 6
    assert outcome.findings[-1].message == "6 more differences of the graph"
    assert len(outcome.findings[-1].facts["differences"]) == 11


def change_weight(proto):
    values = onnx.numpy_helper.to_array(proto.graph.initializer[0]).copy()
    values[0, 0] += 1
    proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(values, proto.graph.initializer[0].name))


def test_changed_weights_without_a_record_are_a_warning(original):
    (outcome,) = nmtool.check(edited(original, change_weight), against=original, select=["NM103"]).outcomes
    warning, note = outcome.findings
    assert (warning.severity, note.severity) == ("warning", "note")
    assert warning.message == "values differ from the original, and no record says why: w"
    norm = np.linalg.norm(weights(6, 5).astype(np.float64))
    assert note.facts["changed"] == [{"array": "w", "norm": pytest.approx(norm), "change": pytest.approx(1.0)}]


def test_changed_weights_below_the_noise_are_an_error(original, noisy):
    ((severity, message),) = findings(edited(noisy, change_weight), "NM103", against=original)
    assert (severity, message) == ("error", "values differ from the original that the noise was put on: w")


def test_changed_integers_are_an_error(original):
    def change(proto):
        (node,) = [node for node in proto.graph.node if node.op_type == "Constant"]
        node.attribute[0].CopyFrom(helper.make_attribute("value_ints", [0]))

    assert findings(edited(original, change), "NM102", against=original) != []

    text = "g (float[2,6] x) => (float[3,4] y) { y = Reshape(x, shape) }"
    before, after = (model(text, shape=np.array(shape)) for shape in ([3, 4], [4, 3]))
    ((severity, message),) = findings(after, "NM103", against=before)
    assert severity == "error"
    assert "array 'shape', of integers" in message


def test_records_are_compared_with_the_model(original, noisy, tmp_path):
    def drop(proto):
        del proto.metadata_props[:]

    def move(proto):
        record = next(iter(onnx.load(noisy).metadata_props))
        proto.metadata_props.add(key=record.key, value=record.value)

    def invent(proto):
        proto.metadata_props[0].value = proto.metadata_props[0].value.replace('"gaussian"', '"gauss"')

    assert findings(edited(noisy, drop), "NM104") == [
        ("error", "the model has noisy nodes, but no record of its noise")
    ]
    messages = [message for _, message in findings(edited(original, move), "NM104")]
    assert "the model records noise, but has no noisy node" in messages
    assert "the recorded input 'noise_trial' is not one of the graph's" in messages
    assert "is not one that nmtool knows" in findings(edited(noisy, invent), "NM104")[0][1]


def test_another_original_is_a_warning(original, noisy, tmp_path):
    other = edited(original, change_weight)
    ((severity, message),) = findings(noisy, "NM104", against=other)
    assert (severity, message) == ("warning", "the noise was put on another file than the original that was given")
    nmtool.clip(original, tmp_path / "clipped.onnx", k=1.0)
    ((severity, message),) = findings(tmp_path / "clipped.onnx", "NM104", against=other)
    assert (severity, message) == (
        "warning",
        "the weights were trained from another file than the original that was given",
    )
