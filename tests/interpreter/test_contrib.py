"""Operators that ONNX Runtime's optimizer makes: against ONNX Runtime, with gradients and taps for their weights."""

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper

import nmtool
from nmtool.errors import ModelError
from nmtool.interpreter import taps
from nmtool.ops.analog import MICROSOFT

RNG = np.random.default_rng(0)
TOKENS = np.array([[1, 2, 0, 3, 1]] * 2, np.int32)
ANGLES = RNG.random((16, 2))
COS, SIN = np.cos(ANGLES).astype(np.float32), np.sin(ANGLES).astype(np.float32)
ENDS = np.array([3, 5], np.int32)
KEYS = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)  # right padding, as the ends say


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


X, WIDE, HEADS = (2, 5, 8), (8, 24), (2, 2, 5, 4)
ACTIVATIONS = [
    ("Relu", []),
    ("Tanh", []),
    ("Sigmoid", []),
    ("LeakyRelu", [0.2]),
    ("Clip", [-0.5, 0.5]),
    ("HardSigmoid", [0.3, 0.4]),
]
CASES = [  # operator, activations, weights, attributes; an array is taken as it is, a shape filled, None left out
    *[
        ("FusedConv", [(2, 3, 6, 6)], [(4, 3, 3, 3), (4,)], {"activation": name, "activation_params": values})
        for name, values in ACTIVATIONS
    ],
    (
        "FusedConv",
        [(2, 4, 6, 6)],
        [(4, 1, 3, 3), (4,), (2, 4, 6, 6)],
        {"group": 4, "pads": [1] * 4, "activation": "Relu"},
    ),
    *[
        ("FusedGemm", [(3, 4)], [(5, 4), (5,)], {"transB": 1, "alpha": 0.5, "beta": 2.0, "activation": name, **extra})
        for name, extra in [
            ("Relu", {}),
            ("Softplus", {}),
            ("Softsign", {}),
            ("LeakyRelu", {"activation_alpha": 0.2}),
            ("Elu", {"activation_alpha": 0.5}),
            ("ThresholdedRelu", {"activation_alpha": 0.3}),
            ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4}),
        ]
    ],
    ("FusedMatMul", [(2, 3, 4)], [(4, 5)], {"alpha": 0.5}),
    ("FusedMatMul", [(2, 4, 3)], [(5, 4)], {"transA": 1, "transB": 1}),
    ("FusedMatMul", [(4, 2, 3, 5)], [(2, 3, 5, 6)], {"transBatchA": 1, "transA": 0, "transBatchB": 0}),
    ("TransposeMatMul", [(2, 3, 4)], [(5, 4)], {"transB": 1}),
    ("Gelu", [X], [], {}),
    ("BiasGelu", [X], [(8,)], {}),
    ("FastGelu", [X], [(8,)], {}),
    ("FastGelu", [X], [], {}),
    ("QuickGelu", [X], [], {"alpha": 1.5}),
    ("SkipLayerNormalization", [X, X], [(8,), (8,), (8,)], {"epsilon": 1e-3, "outputs": [1, 0, 0, 1]}),
    ("SkipLayerNormalization", [X, (5, 8)], [(8,)], {}),
    ("SkipSimplifiedLayerNormalization", [X, X], [(8,), (8,)], {"epsilon": 1e-3, "outputs": [1, 0, 0, 1]}),
    ("EmbedLayerNormalization", [TOKENS, TOKENS % 2], [(4, 8), (6, 8), (2, 8), (8,), (8,)], {"outputs": [1, 0]}),
    ("EmbedLayerNormalization", [TOKENS, None], [(4, 8), (6, 8), None, (8,), (8,), KEYS], {"outputs": [1, 1]}),
    ("RotaryEmbedding", [X, np.array([3], np.int64), COS, SIN], [], {}),
    ("RotaryEmbedding", [HEADS, TOKENS.astype(np.int64), COS, SIN], [], {"interleaved": 1}),
    (
        "RotaryEmbedding",
        [(2, 5, 16), TOKENS.astype(np.int64), COS, SIN],
        [],
        {"num_heads": 2, "rotary_embedding_dim": 4},
    ),
    ("Attention", [X], [WIDE, (24,)], {"num_heads": 2}),
    ("Attention", [X], [WIDE, (24,)], {"num_heads": 2, "unidirectional": 1, "scale": 0.3}),
    ("Attention", [X], [WIDE, (24,), ENDS], {"num_heads": 2}),
    ("Attention", [X], [WIDE, (24,), np.array([4, 5, 1, 0], np.int32)], {"num_heads": 2}),
    ("Attention", [X], [WIDE, (24,), KEYS], {"num_heads": 2, "unidirectional": 1}),
    ("Attention", [X], [WIDE, (24,), KEYS[:, ::-1].copy()], {"num_heads": 2, "unidirectional": 1}),
    ("Attention", [X], [WIDE, (24,), np.tril(np.ones((2, 5, 5), np.int32))], {"num_heads": 2}),
    ("Attention", [X], [(8, 20), (20,)], {"num_heads": 2, "qkv_hidden_sizes": [8, 8, 4]}),
    ("Attention", [X], [WIDE, (24,), None, (2, 2, 2, 3, 4)], {"num_heads": 2, "unidirectional": 1, "outputs": [1, 1]}),
    ("Attention", [X], [WIDE, (24,), None, None, (1, 2, 5, 5)], {"num_heads": 2}),
    ("MultiHeadAttention", [X, (2, 7, 8), (2, 7, 6)], [(22,)], {"num_heads": 2}),
    ("MultiHeadAttention", [X, X, X], [None, ENDS], {"num_heads": 2, "scale": 0.4}),
    ("MultiHeadAttention", [X, X, X], [None, KEYS, (2, 2, 5, 5)], {"num_heads": 2}),
    ("MultiHeadAttention", [X, HEADS, HEADS], [], {"num_heads": 2, "unidirectional": 1}),
    (
        "MultiHeadAttention",
        [X, X, X],
        [(24,), None, None, (2, 2, 3, 4), (2, 2, 3, 4)],
        {"num_heads": 2, "outputs": [1, 1, 1]},
    ),
]


def node_model(op_type, inputs, weights, attributes, domain=MICROSOFT):
    """A model of one node and the arrays that it is called with."""
    settings = {name: value for name, value in attributes.items() if name != "outputs" and value != []}
    given = [None if entry is None else entry if isinstance(entry, np.ndarray) else array(*entry) for entry in inputs]
    stored = [None if entry is None else entry if isinstance(entry, np.ndarray) else array(*entry) for entry in weights]
    names = ["" if entry is None else f"x{k}" for k, entry in enumerate([*given, *stored])]
    outputs = [f"y{k}" if there else "" for k, there in enumerate(attributes.get("outputs", [1]))]
    arrays = {name: entry for name, entry in zip(names, given, strict=False) if name}
    constants = {name: entry for name, entry in zip(names[len(given) :], stored, strict=True) if name}
    graph = helper.make_graph(
        [helper.make_node(op_type, names, outputs, domain=domain, **settings)],
        "g",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in arrays.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs if name],
        [numpy_helper.from_array(entry, name) for name, entry in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), arrays


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{len(case[2])}-{'-'.join(map(str, case[3]))}")
def test_agrees_with_onnxruntime_and_trains(case):
    proto, arrays = node_model(*case)
    check(proto, arrays)


def test_simplified_layer_normalization():
    proto, arrays = node_model("SimplifiedLayerNormalization", [X], [(8,)], {"axis": -1, "epsilon": 1e-3}, domain="")
    check(proto, arrays)


def check(proto, arrays):
    expected = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, arrays)
    module = nmtool.to_torch(proto)
    result = module(*map(torch.from_numpy, arrays.values()))
    results = result if isinstance(result, tuple) else (result,)
    for got, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=1e-4, atol=1e-5)
    parameters = list(module.parameters())
    floats = [entry for entry in proto.graph.initializer if entry.data_type == onnx.TensorProto.FLOAT]
    assert len(parameters) >= sum(len(entry.dims) == 1 for entry in floats)
    if parameters:
        sum(value.square().sum() for value in results if value.requires_grad).backward()
    assert all(parameter.grad is not None for parameter in parameters)


@pytest.mark.parametrize("op_type", ["FusedConv", "FusedGemm", "FusedMatMul", "Attention"])
def test_analog_weights_pass_a_tap(op_type):
    case = next(case for case in CASES if case[0] == op_type)
    proto, _ = node_model(*case)
    ((_, tap),) = taps(nmtool.to_torch(proto)).items()
    assert (tap.op_type, tap.array) == (op_type, "x1")


@pytest.mark.parametrize(
    ("op_type", "attributes", "message"),
    [
        ("FusedConv", {"activation": "Mish"}, "FusedConv of opset 1 with activation = Mish"),
        ("Attention", {"num_heads": 2, "do_rotary": 1}, "Attention of opset 1 with do_rotary = 1"),
        ("GroupQueryAttention", {"num_heads": 2, "kv_num_heads": 2}, "com.microsoft::GroupQueryAttention of opset 1"),
        ("MatMulNBits", {"K": 8, "N": 8, "bits": 4, "block_size": 16}, "com.microsoft::MatMulNBits of opset 1"),
    ],
)
def test_what_is_not_implemented_is_named(op_type, attributes, message):
    proto, _ = node_model(op_type, [X], [WIDE], attributes)
    with pytest.raises(ModelError, match=message):
        nmtool.to_torch(proto)


def test_inputs_that_are_not_implemented_are_named():
    proto, _ = node_model("Attention", [X], [WIDE, (24,), None, None, None, ENDS[:1]], {"num_heads": 2})
    with pytest.raises(ModelError, match="Attention of opset 1 with 7 inputs"):
        nmtool.to_torch(proto)


def test_packed_products_are_refused():
    proto, arrays = node_model("MultiHeadAttention", [(2, 5, 2, 3, 4)], [], {"num_heads": 2})
    with pytest.raises(ModelError, match="packed"):
        nmtool.to_torch(proto)(*map(torch.from_numpy, arrays.values()))
