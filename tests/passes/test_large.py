"""What language models need of inject: nothing stored of the size of a weight, fused operators named in the report."""

import onnx
import onnx_ir as ir
import pytest
from onnx import helper

import nmtool
from build import weights
from nmtool.hardware.profile import load
from nmtool.noise import DEVICES, NOISE_MODELS, noise_model

ROWS, COLUMNS = 64, 48


def product() -> onnx.ModelProto:
    text = f"""<ir_version: 8, opset_import: ["": 18]>
    g (float[N, {ROWS}] x) => (float[N, {COLUMNS}] y) {{ y = MatMul (x, w) }}"""
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights(ROWS, COLUMNS), "w"))
    return proto


def stored(model: ir.Model) -> int:
    """Elements of the largest array but the weights themselves, functions' constants and attributes included."""
    proto = ir.to_proto(model)
    nodes = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
    constants = [each.t for node in nodes for each in node.attribute if each.type == onnx.AttributeProto.TENSOR]
    arrays = [each for each in (*proto.graph.initializer, *constants) if each.name != "w"]
    return max(int(onnx.numpy_helper.to_array(each).size) for each in arrays)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", NOISE_MODELS)
def test_a_noise_model_stores_a_parameter_for_each_channel_at_most(name, per_channel):
    if per_channel and name == "stuck":
        pytest.skip("stuck faults have no per-channel form")
    model = nmtool.inject(product(), noise=name, per_channel=per_channel).model
    assert stored(model) <= COLUMNS


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_computes_in_its_body_what_each_cell_does(name):
    assert stored(nmtool.inject(product(), noise=noise_model(name, {})).model) <= COLUMNS


@pytest.mark.parametrize("name", ["generic-imc-8bit", "photonic-mzi"])
def test_hardware_stores_nothing_of_the_size_of_the_weights(name):
    assert stored(nmtool.inject(product(), noise=load(name)).model) < ROWS * COLUMNS // 4


FUSED = {
    "GroupQueryAttention": "product of activations inside a fused operator",
    "MultiHeadAttention": "product of activations inside a fused operator",
    "SparseAttention": "product of activations inside a fused operator",
    "MoE": "its weights are inside a fused operator (export without that fusion)",
    "LongformerAttention": "its weights are inside a fused operator (export without that fusion)",
    "GatherBlockQuantized": "table lookup, no matrix product",
}


@pytest.mark.parametrize("op", FUSED)
def test_a_fused_operator_is_reported_with_the_reason(op):
    proto = product()
    proto.graph.node[0].output[0] = "h"
    proto.graph.node.append(helper.make_node(op, ["h", "table"], ["y"], "fused", domain="com.microsoft"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights(COLUMNS, COLUMNS), "table"))
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    report = nmtool.inject(proto).report
    (entry,) = [each for each in report.nodes if each.name == "fused"]
    assert (entry.status, entry.reason) == ("digital", FUSED[op])
