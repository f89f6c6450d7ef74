"""Every operator against ONNX's own test cases, in all opsets and types that these have."""

import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from conformance import cases, difference

import nmtool.interpreter.convert  # noqa: F401 - registers the operators
from nmtool.errors import ModelError
from nmtool.interpreter.registry import find_op, registered

OUR_OPS = [name for domain, name in registered() if not domain]

REFUSED = {  # case: part of the message
    "test_dequantizelinear_blocked#0": "block_size",
    "test_quantizelinear_blocked_asymmetric#0": "block_size",
    "test_quantizelinear_blocked_symmetric#0": "block_size",
    "test_resize_downsample_scales_cubic_antialias#0": "antialias",
    "test_resize_downsample_scales_linear_antialias#0": "antialias",
    "test_resize_downsample_sizes_cubic_antialias#0": "antialias",
    "test_resize_downsample_sizes_linear_antialias#0": "antialias",
    "test_if_opt#0": "Optional",
    "test_if_seq#0": "SequenceConstruct",
    "test_operator_add_broadcast": "Add of opset 6 with attribute axis",
    "test_operator_add_size1_broadcast": "Add of opset 6 with attribute axis",
    "test_operator_add_size1_right_broadcast": "Add of opset 6 with attribute axis",
    "test_operator_add_size1_singleton_broadcast": "Add of opset 6 with attribute axis",
    "test_operator_addconstant": "Add of opset 6 with attribute axis",
    "test_maxpool_with_argmax_2d_precomputed_strides#0": "storage_order",
}
DIFFERENT = {  # case: why
    "test_attention_4d_causal_fp16#0": "the last bit of float16",
    **dict.fromkeys(("test_bernoulli#0", "test_bernoulli_double#0", "test_bernoulli_seed#0"), "random"),
    "test_batchnorm_epsilon_training_mode#0": "the mode is the module's, not the file's",
    "test_batchnorm_example_training_mode#0": "the mode is the module's, not the file's",
    "test_training_dropout#0": "the mode is the module's, not the file's",
    "test_training_dropout_default#0": "the mode is the module's, not the file's",
    "test_training_dropout_default_mask#0": "the mode is the module's, not the file's",
    "test_training_dropout_mask#0": "the mode is the module's, not the file's",
    "test_reduce_max_empty_set_bool#0": "the maximum of no booleans is not implemented",
}
WITHOUT_CASES = {
    "Constant",
    "GlobalLpPool",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "SimplifiedLayerNormalization",  # of ONNX Runtime
}


@pytest.mark.parametrize("op_type", OUR_OPS)
def test_operator_agrees_with_onnx(op_type):
    found = cases()["", op_type]
    assert bool(found) != (op_type in WITHOUT_CASES)
    problems = {}
    for case in found:
        try:
            problem = difference(case)
        except ModelError as error:
            problem = str(error) if REFUSED.get(case.name, "-") not in str(error) else None
        if problem and case.name not in DIFFERENT:
            problems[f"{case.name} of opset {case.opset}"] = problem
    assert not problems


@pytest.mark.parametrize("op_type", [name for name in OUR_OPS if find_op("", name)])
def test_attributes_of_every_version_since_opset_7_are_known(op_type):
    op = find_op("", op_type)
    if op.attributes is None:
        return
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.name == op_type and not schema.domain and schema.since_version >= 7:
            unknown = set(schema.attributes) - op.attributes - op.only.keys() - UNKNOWN.get(op_type, set())
            assert not unknown, f"opset {schema.since_version}"


UNKNOWN: dict[str, set[str]] = {}  # operator -> attributes that are refused
