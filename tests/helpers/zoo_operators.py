"""Every operator that maps to arrays, and those that stay digital."""

import numpy as np
from entries import add

from build import MICROSOFT, model, weights

X = "g (float[2,3] x) => (float[2,4] y)"
W = weights(3, 4)

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
    for bias in (False, True) if name == "conv_2d" else (len(kernel) == 4,):
        text = f"g (float[{shape}] x) => (float y) {{ y = Conv<{attributes}>(x, w{', b' if bias else ''}) }}"
        arrays = {"w": weights(*kernel)} | ({"b": weights(kernel[0])} if bias else {})
        add(
            f"{name}{'_bias' if bias and name == 'conv_2d' else ''}",
            model(text.replace("(float y)", "(y)"), **arrays),
            ("w",),
        )
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
    model(
        "g (float[2,3] x) => (float[2,4] y) { y = com.microsoft.FusedMatMul<transB=1, alpha=0.5>(x, w) }",
        w=weights(4, 3),
        **M,
    ),
    ("w",),
    reference=False,
)
add(
    "fused_gemm",
    model(
        'g (float[2,3] x) => (float[2,4] y) { y = com.microsoft.FusedGemm<activation="Relu", transB=1>(x, w, c) }',
        w=weights(4, 3),
        c=weights(4),
        **M,
    ),
    ("w",),
    reference=False,
)
add(
    "microsoft_attention",
    model(
        "g (float[1,3,4] x) => (float[1,3,4] y) { y = com.microsoft.Attention<num_heads=2>(x, w, b) }",
        w=weights(4, 12),
        b=weights(12),
        **M,
    ),
    ("w",),
    reference=False,
)

INT8 = np.random.default_rng(5).integers(-90, 90, (3, 4)).astype(np.int8)
SCALES = np.array([0.01, 0.02, 0.03, 0.04], np.float32)
add(
    "qdq_tensor",
    model(X + "{ v = DequantizeLinear(w, s) y = MatMul(x, v) }", w=INT8, s=np.float32(0.02)),
    ("w",),
    reference=False,
)
add(
    "qdq_channel",
    model(X + "{ v = DequantizeLinear<axis=1>(w, s, z) y = MatMul(x, v) }", w=INT8, s=SCALES, z=np.zeros(4, np.int8)),
    ("w",),
    reference=False,
)
add(
    "qdq_float",
    model(
        X + "{ q = QuantizeLinear(w, s, z) v = DequantizeLinear(q, s, z) y = MatMul(x, v) }",
        w=W,
        s=np.float32(0.02),
        z=np.int8(3),
    ),
    ("w",),
    reference=False,
)
add(
    "qdq_twice",
    model(
        "g (float[2,3] x) => (float[2,4] y) { v = DequantizeLinear(w, s) u = DequantizeLinear(w, s) a = MatMul(x, v) b = MatMul(x, u) y = Add(a, b) }",
        w=INT8,
        s=np.float32(0.02),
    ),
    ("w", "w"),
    reference=False,  # the evaluator has DequantizeLinear from opset 19 on
)
INTEGER = "integer arithmetic"
add(
    "integers",
    model(
        X
        + "{ z = Constant<value = float {0.0}>() q, s, p = DynamicQuantizeLinear(x) i = MatMulInteger(q, a, p) k = QLinearMatMul(q, s, p, a, t, n, s, p)"
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
