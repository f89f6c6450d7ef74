"""Small models, one for each way in which weights reach a matrix product.

An entry also says what inject has to find: the names of the noisy arrays and, for the nodes that stay digital, a part of the
reason. The contract of the passes is tested on every entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from build import MICROSOFT, constant, function, model, weights


@dataclass(frozen=True)
class Entry:
    """A model and what inject finds in it.

    Attributes:
        proto: the model.
        noisy: names of the arrays, one for each noisy node and operand, in graph order.
        digital: name of the first output of a digital node -> part of its reason.
        reference: whether onnx's reference evaluator can run it.
        options: options of inject.
    """

    proto: onnx.ModelProto
    noisy: tuple[str, ...]
    digital: Mapping[str, str] = field(default_factory=dict)
    reference: bool = True
    options: Mapping[str, object] = field(default_factory=dict)


ZOO: dict[str, Entry] = {}

X = "g (float[2,3] x) => (float[2,4] y)"
W = weights(3, 4)


def add(name: str, proto: onnx.ModelProto, noisy: tuple[str, ...], **rest: object) -> None:
    ZOO[name] = Entry(proto, noisy, **rest)


# Where the array sits ---------------------------------------------------------------------------------------------------

add("matmul_right", model(X + "{ y = MatMul(x, w) }", w=W), ("w",))
add("matmul_left", model("g (float[4,2] x) => (float[3,2] y) { y = MatMul(w, x) }", w=W), ("w",))
add("matmul_batched", model("g (float[5,2,3] x) => (float[5,2,4] y) { y = MatMul(x, w) }", w=weights(5, 3, 4)), ("w",))
add("matmul_vector", model("g (float[2,3] x) => (float[2] y) { y = MatMul(x, w) }", w=weights(3)), ("w",))
add(
    "both_constant",
    model(X + "{ c = MatMul(a, b)  y = MatMul(x, c) }", a=weights(3, 2), b=weights(2, 4)),
    ("c",),
    digital={"c": "both operands are constant"},
)
add("constant_node", model(X + "{ w = " + constant(W) + " y = MatMul(x, w) }"), ("w",))
add("graph_input", model("g (float[2,3] x, float[3,4] w) => (float[2,4] y) { y = MatMul(x, w) }", opset=9, ir_version=3, w=W), ("w",))
add("identity", model(X + "{ v = Identity(w) u = Identity(v) y = MatMul(x, u) }", w=W), ("w",))
add("transpose", model(X + "{ v = Transpose<perm=[1,0]>(w) y = MatMul(x, v) }", w=weights(4, 3)), ("w",))
add(
    "chain",
    model(
        X + "{ a = Squeeze(w, zero) b = Cast<to=1>(a) c = Transpose(b) d = Reshape(c, shape) y = MatMul(x, d) }",
        w=weights(1, 4, 3, dtype=np.float64),
        zero=np.array([0]),
        shape=np.array([3, 4]),
    ),
    ("w",),
)
add("computed", model(X + "{ v = Mul(w, s) y = MatMul(x, v) }", w=W, s=weights(4)), ("v",))
add(
    "tied",
    model(
        "g (int64[2] i) => (float[2,5] y, float[2,4] e) { e = Gather(w, i) t = Transpose<perm=[1,0]>(w) y = MatMul(e, t) }",
        w=weights(5, 4),
    ),
    ("w",),
    digital={"e": "table lookup"},
)
add(
    "tied_direct",
    model(
        "g (float[2,3] x) => (float[2,3] y) { h = MatMul(x, w) t = Transpose<perm=[1,0]>(w) y = MatMul(h, t) }", w=weights(3, 4)
    ),
    ("w", "w"),
)
add("shared", model("g (float[2,3] x) => (float[2,3] y) { h = MatMul(x, w) y = MatMul(h, w) }", w=weights(3, 3)), ("w", "w"))
add(
    "weights_are_output",
    model("g (float[2,3] x) => (float[2,4] y, float[3,4] w) { y = MatMul(x, w) }", w=W),
    ("w",),
)
add(
    "dead_parts",
    model(X + "{ d = Relu(x) v = Transpose<perm=[1,0]>(w) e = Identity(v) y = MatMul(x, v) }", w=weights(4, 3), **{"a::b": W}),
    ("w",),
)
add(
    "taken_names",
    model(
        "g (float[2,3] noise_trial) => (float[2,4] y) { noise_scale = MatMul(noise_trial, w) y = Add(noise_scale, @) }".replace(
            "@", "std"
        ),
        w=W,
        std=weights(4),
        **{"w::std": weights(4)},
    ),
    ("w",),
)

# Operators --------------------------------------------------------------------------------------------------------------

for ta in (0, 1):
    for tb in (0, 1):
        add(
            f"gemm_{ta}{tb}",
            model(
                f"g (float[{'3,2' if ta else '2,3'}] x) => (float[2,4] y) "
                f"{{ y = Gemm<transA={ta}, transB={tb}, alpha=0.5, beta=2.0>(x, w, c) }}",
                w=weights(4, 3) if tb else weights(3, 4),
                c=weights(4),
            ),
            ("w",),
        )
add("gemm_left", model("g (float[4,3] x) => (float[2,3] y) { y = Gemm<transA=1>(w, x) }", w=weights(4, 2)), ("w",))
add("gemm_plain", model(X + "{ y = Gemm(x, w) }", w=W), ("w",))

CONVS = {
    "conv_1d": ("2,3,9", (4, 3, 3), "pads=[1,1]"),
    "conv_2d": ("2,3,7,6", (4, 3, 3, 2), "strides=[2,1], dilations=[1,2]"),
    "conv_3d": ("1,2,4,5,4", (3, 2, 2, 2, 2), ""),
    "conv_groups": ("2,4,5,5", (6, 2, 3, 3), "group=2, pads=[1,0,1,0]"),
    "conv_depthwise": ("2,3,6,6", (3, 1, 3, 3), "group=3"),
    "conv_same_upper": ("1,2,5,6", (3, 2, 2, 3), 'auto_pad="SAME_UPPER", strides=[2,2]'),
    "conv_same_lower": ("1,2,5,6", (3, 2, 2, 3), 'auto_pad="SAME_LOWER"'),
}
for name, (shape, kernel, attributes) in CONVS.items():
    attributes = f"kernel_shape=[{','.join(map(str, kernel[2:]))}]" + (f", {attributes}" if attributes else "")
    for bias in (False, True):
        text = f"g (float[{shape}] x) => (float y) {{ y = Conv<{attributes}>(x, w{', b' if bias else ''}) }}"
        arrays = {"w": weights(*kernel)} | ({"b": weights(kernel[0])} if bias else {})
        add(f"{name}{'_bias' if bias else ''}", model(text.replace("(float y)", "(y)"), **arrays), ("w",))
for name, (shape, kernel, attributes) in {
    "conv_transpose": ("1,3,4,5", (3, 2, 3, 3), "strides=[2,1], pads=[1,1,0,0]"),
    "conv_transpose_groups": ("1,4,4,4", (4, 3, 2, 2), "group=2"),
    "conv_transpose_1d": ("2,3,5", (3, 2, 3), "dilations=[2], output_padding=[0]"),
}.items():
    text = f"g (float[{shape}] x) => (y) {{ y = ConvTranspose<{attributes}>(x, w, b) }}"
    channels = kernel[1] * (2 if "group" in attributes else 1)
    add(name, model(text, w=weights(*kernel), b=weights(channels)), ("w",), reference="group" not in attributes)
add(
    "two_attribute_sets",
    model(
        "g (float[1,2,6,6] x) => (y) { h = Conv<pads=[1,1,1,1]>(x, v) i = Conv<group=2>(h, w) y = Conv<pads=[0,1,0,1]>(i, v) }",
        v=weights(2, 2, 3, 3),
        w=weights(2, 1, 2, 2),
    ),
    ("v", "w", "v"),
)
for op, gates in {"LSTM": 4, "GRU": 3, "RNN": 1}.items():
    add(
        op.lower(),
        model(
            f'g (float[3,2,5] x) => (y) {{ y = {op}<hidden_size=4, direction="bidirectional">(x, w, r, b) }}',
            w=weights(2, gates * 4, 5),
            r=weights(2, gates * 4, 4),
            b=weights(2, gates * 8),
        ),
        ("w", "r"),
        reference=False,  # the evaluator has one direction only
    )
add(
    "deform_conv",
    model(
        "g (float[1,2,4,4] x, float[1,8,3,3] o) => (y) { y = DeformConv<kernel_shape=[2,2]>(x, w, o) }",
        opset=19,
        w=weights(3, 2, 2, 2),
    ),
    ("w",),
)
add("einsum", model(X + '{ y = Einsum<equation="ij,jk->ik">(x, w) }', w=W), ("w",))

# Operators of ONNX Runtime ----------------------------------------------------------------------------------------------

M = {"imports": (MICROSOFT,)}
add(
    "fused_conv",
    model(
        'g (float[1,2,5,5] x) => (float[1,3,3,3] y) { y = com.microsoft.FusedConv<activation="Relu", kernel_shape=[3,3]>(x, w, b) }',
        w=weights(3, 2, 3, 3),
        b=weights(3),
        **M,
    ),
    ("w",),
    reference=False,
)
add(
    "fused_matmul",
    model("g (float[2,3] x) => (float[2,4] y) { y = com.microsoft.FusedMatMul<transB=1, alpha=0.5>(x, w) }", w=weights(4, 3), **M),
    ("w",),
    reference=False,
)
add(
    "fused_gemm",
    model('g (float[2,3] x) => (float[2,4] y) { y = com.microsoft.FusedGemm<activation="Relu", transB=1>(x, w, c) }', w=weights(4, 3), c=weights(4), **M),
    ("w",),
    reference=False,
)
add(
    "microsoft_attention",
    model("g (float[1,3,4] x) => (float[1,3,4] y) { y = com.microsoft.Attention<num_heads=2>(x, w, b) }", w=weights(4, 12), b=weights(12), **M),
    ("w",),
    reference=False,
)

# Quantized --------------------------------------------------------------------------------------------------------------

INT8 = np.random.default_rng(5).integers(-90, 90, (3, 4)).astype(np.int8)
SCALES = np.array([0.01, 0.02, 0.03, 0.04], np.float32)
add("qdq_tensor", model(X + "{ v = DequantizeLinear(w, s) y = MatMul(x, v) }", w=INT8, s=np.float32(0.02)), ("w",), reference=False)
add("qdq_channel", model(X + "{ v = DequantizeLinear<axis=1>(w, s, z) y = MatMul(x, v) }", w=INT8, s=SCALES, z=np.zeros(4, np.int8)), ("w",), reference=False)
add(
    "qdq_float",
    model(X + "{ q = QuantizeLinear(w, s, z) v = DequantizeLinear(q, s, z) y = MatMul(x, v) }", w=W, s=np.float32(0.02), z=np.int8(3)),
    ("w",),
    reference=False,
)
add(
    "qdq_twice",
    model("g (float[2,3] x) => (float[2,4] y) { v = DequantizeLinear(w, s) u = DequantizeLinear(w, s) a = MatMul(x, v) b = MatMul(x, u) y = Add(a, b) }", w=INT8, s=np.float32(0.02)),
    ("w", "w"),
    reference=False,  # the evaluator has DequantizeLinear from opset 19 on
)
INTEGER = "integer arithmetic"
add(
    "integers",
    model(
        X + "{ z = Constant<value = float {0.0}>() q, s, p = DynamicQuantizeLinear(x) i = MatMulInteger(q, a, p) k = QLinearMatMul(q, s, p, a, t, n, s, p)"
        " c = com.microsoft.MatMulIntegerToFloat(q, a, s, t, p)"
        " d = com.microsoft.DynamicQuantizeMatMul(x, a, t) y = MatMul(x, w) }",
        w=W,
        a=INT8,
        t=np.float32(0.02),
        n=np.int8(0),
        **M,
    ),
    ("w",),
    digital={"i": INTEGER, "k": INTEGER, "c": INTEGER, "d": INTEGER},
    reference=False,
)
add(
    "integer_convolutions",
    model(
        "g (float[1,3,4,4] x) => (y, int32[1,2,3,3] i, uint8[1,2,3,3] k) { q, s, p = DynamicQuantizeLinear(x) i = ConvInteger(q, a, p)"
        " k = QLinearConv(q, s, p, a, t, n, s, p) y = Conv(x, w) }",
        w=weights(2, 3, 2, 2),
        a=np.random.default_rng(6).integers(-90, 90, (2, 3, 2, 2)).astype(np.int8),
        t=np.float32(0.02),
        n=np.int8(0),
    ),
    ("w",),
    digital={"i": INTEGER, "k": INTEGER},
    reference=False,
)
add(
    "four_bits",
    model(
        "g (float[1,32] x) => (float[1,4] y, z) { y = com.microsoft.MatMulNBits<K=32, N=4, bits=4, block_size=32>(x, a, s) z = MatMul(x, w) }",
        w=weights(32, 2),
        a=np.random.default_rng(7).integers(0, 255, (4, 1, 16)).astype(np.uint8),
        s=weights(4),
        **M,
    ),
    ("w",),
    digital={"y": INTEGER},
    reference=False,
)

# Subgraphs --------------------------------------------------------------------------------------------------------------

add(
    "if_branches",
    model(
        "g (bool c, float[2,3] x) => (float[2,4] y) { y = If(c) <"
        "then_branch = t () => (float[2,4] a) { w = " + constant(W) + " a = MatMul(x, w) }, "
        "else_branch = e () => (float[2,4] b) { w = " + constant(2 * W) + " b = MatMul(x, w) }> }",
    ),
    ("y/then_branch/w", "y/else_branch/w"),
)
add(
    "if_layouts",
    model(
        "g (bool c, float[2,3] x) => (float[2,4] y) { y = If(c) <"
        "then_branch = t () => (float[2,4] a) { v = Transpose<perm=[1,0]>(w) a = MatMul(x, v) }, "
        "else_branch = e () => (float[2,4] b) { v = Transpose<perm=[1,0]>(w) b = MatMul(x, v) }> }",
        w=weights(4, 3),
    ),
    ("w", "w"),
)
LOOP = (
    "g (float[2,3] x) => (float[2,3] y) { y = Loop(n, c, x) <body = b (int64 i, bool d, float[2,3] h) => (bool e, float[2,3] k) "
    "{ e = Identity(d) @ }> }"
)
LOOPED = {"n": np.array(3), "c": np.array(True)}
add("loop_inside", model(LOOP.replace("@", "w = " + constant(weights(3, 3)) + " k = MatMul(h, w)"), **LOOPED), ("y/body/w",))
add("loop_captured", model(LOOP.replace("@", "k = MatMul(h, w)"), w=weights(3, 3), **LOOPED), ("w",))
add(
    "loop_captured_and_outside",
    model(LOOP.replace("@", "k = MatMul(h, w)").replace("y)", "y, float[2,3] z)", 1).replace("{", "{ z = MatMul(x, w) ", 1), w=weights(3, 3), **LOOPED),
    ("w", "w"),
)
add(
    "scan",
    model(
        "g (float[2,3] x, float[4,2,3] s) => (float[2,3] y, float[4,2,3] z) { y, z = Scan<num_scan_inputs=1, body = b (float[2,3] h, float[2,3] t) "
        "=> (float[2,3] k, float[2,3] o) { a = MatMul(h, w) k = Add(a, t) o = Identity(k) }>(x, s) }",
        w=weights(3, 3),
    ),
    ("w",),
)

# Model-local functions --------------------------------------------------------------------------------------------------

F = {"imports": ("f",)}
add(
    "function_inside",
    model(X + "{ h = f.F(x) y = f.F(x) }" + function("F (x) => (y) { w = " + constant(W) + " y = MatMul(x, w) }"), **F),
    ("f::F/w",),
)
add("function_argument", model(X + "{ y = f.F(x, w) }" + function("F (x, v) => (y) { y = MatMul(x, v) }"), w=W, **F), ("w",))
add(
    "function_called_twice",
    model(
        "g (float[2,3] x) => (float[2,3] y) { h = f.F(x, v) y = f.F(h, w) }" + function("F (x, v) => (y) { t = Transpose(v) y = MatMul(x, t) }"),
        v=weights(3, 3),
        w=weights(3, 3, seed=1),
        **F,
    ),
    ("v", "w"),
)
add(
    "function_nested",
    model(
        X
        + "{ y = f.G(x, w) }"
        + function("F (x, v) => (y) { u = " + constant(weights(4, 4)) + " h = MatMul(x, v) y = MatMul(h, u) }")
        + function("G (x, v) => (y) { y = f.F(x, v) }"),
        w=W,
        **F,
    ),
    ("w", "f::F/u"),
)
add(
    "function_optional",
    model(
        "g (float[2,3,5] x) => (y) { h = f.F(x, w) i = f.F(h, w, b) y = f.F(i, w, ) }"
        + function("F (x, v, b) => (y) { u = " + constant(weights(3, 3, 1)) + " h = Conv(x, u) y = Conv(h, v, b) }"),
        w=weights(3, 3, 1, seed=2),
        b=weights(3),
        **F,
    ),
    ("w", "w", "w", "f::F/u"),
    reference=False,  # the evaluator wants every argument
)
add(
    "function_attribute",
    model(
        "g (float[1,2,5,5] x) => (y) { h = f.F<p=[1,1,1,1]>(x) y = f.F<p=[0,0,0,0]>(h) }"
        + function("F <p> (x) => (y) { w = " + constant(weights(2, 2, 3, 3)) + " y = Conv<pads: ints = @p>(x, w) }"),
        **F,
    ),
    ("f::F/w",),
)
add(
    "function_mixed",
    model(
        X + "{ h = f.F(x, w) y = Gemm(x, h) }" + function("F (x, v) => (y) { y = Relu(v) z = MatMul(x, v) }"), w=W, **F
    ),
    (),
    digital={"h": "also uses the weights", "y": "computed at run time"},
)
del ZOO["function_mixed"]  # nothing noisy: tested by itself
add(
    "function_partly_constant",
    model(
        "g (float[2,3] x, float[3,3] a) => (float[2,3] y) { h = f.F(x, w) y = f.F(h, a) }" + function("F (x, v) => (y) { y = MatMul(x, v) }"),
        w=weights(3, 3),
        **F,
    ),
    ("w",),
    digital={"y": "computed at run time"},
)
add(
    "function_same_names",
    model(
        X
        + "{ t = Transpose(w) h = MatMul(x, t) i = f.F(h) y = f.G(i) }"
        + function("F (x) => (y) { w = " + constant(weights(4, 4)) + " t = Transpose(w) y = MatMul(x, t) }")
        + function("G (x) => (y) { w = " + constant(weights(4, 4, seed=1)) + " t = Transpose(w) y = MatMul(x, t) }"),
        w=weights(4, 3),
        **F,
    ),
    ("w", "f::F/w", "f::G/w"),
)

# Activations ------------------------------------------------------------------------------------------------------------

ATTENTION = "g (float[2,3,4] x, float[2,4,3] k) => (float[2,3,5] y) { s = MatMul(x, k) y = MatMul(s, w) }"
add("activations", model(ATTENTION, w=weights(3, 5)), ("w",), digital={"s": "product of two activations"})
add("dynamic", model(ATTENTION, w=weights(3, 5)), ("", "w"), options={"dynamic": True})
add(
    "dynamic_vector",
    model("g (float[2,3] x, float[3] k) => (float[2] s, y) { s = MatMul(x, k) y = MatMul(x, w) }", w=W),
    ("w",),
    digital={"s": "a vector"},
    options={"dynamic": True},
)
add("dynamic_half", model(ATTENTION.replace("float[", "float16[").replace("x,", "x0,").replace("{", "{ x = Relu(x0) t = Relu(k) ").replace("(x, k)", "(x, t)"), w=weights(3, 5, dtype=np.float16)), ("", "w"), options={"dynamic": True})

# Types and versions -----------------------------------------------------------------------------------------------------

add("float16", model(X.replace("float", "float16") + "{ y = MatMul(x, w) }", w=weights(3, 4, dtype=np.float16)), ("w",))
add("float64", model(X.replace("float", "double") + "{ y = MatMul(x, w) }", w=weights(3, 4, dtype=np.float64)), ("w",))
for opset in range(7, onnx.defs.onnx_opset_version() + 1):
    add(
        f"opset_{opset}",
        model(
            "g (float[2,3] x) => (y) { a = MatMul(x, w) b = Gemm(a, v, c) i = Reshape(b, s) y = Conv(i, k) }",
            opset=opset,
            w=W,
            v=weights(4, 8),
            c=weights(8),
            s=np.array([2, 2, 4]),
            k=weights(3, 2, 2),
        ),
        ("w", "v", "k"),
        reference=opset >= 18,
    )
