"""Where the array sits, in which type and in which version of ONNX."""

import numpy as np
import onnx
from entries import add

from build import constant, model, weights

X = "g (float[2,3] x) => (float[2,4] y)"
W = weights(3, 4)

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
add(
    "graph_input",
    model("g (float[2,3] x, float[3,4] w) => (float[2,4] y) { y = MatMul(x, w) }", opset=9, ir_version=3, w=W),
    ("w",),
)
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
        "g (float[2,3] x) => (float[2,3] y) { h = MatMul(x, w) t = Transpose<perm=[1,0]>(w) y = MatMul(h, t) }",
        w=weights(3, 4),
    ),
    ("w", "w"),
)
add(
    "shared",
    model("g (float[2,3] x) => (float[2,3] y) { h = MatMul(x, w) y = MatMul(h, w) }", w=weights(3, 3)),
    ("w", "w"),
)
add(
    "weights_are_output",
    model("g (float[2,3] x) => (float[2,4] y, float[3,4] w) { y = MatMul(x, w) }", w=W),
    ("w",),
)
add(
    "dead_parts",
    model(
        X + "{ d = Relu(x) v = Transpose<perm=[1,0]>(w) e = Identity(v) y = MatMul(x, v) }",
        w=weights(4, 3),
        **{"a::b": W},
    ),
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
add(
    "dynamic_half",
    model(
        ATTENTION.replace("float[", "float16[")
        .replace("x,", "x0,")
        .replace("{", "{ x = Relu(x0) t = Relu(k) ")
        .replace("(x, k)", "(x, t)"),
        w=weights(3, 5, dtype=np.float16),
    ),
    ("", "w"),
    options={"dynamic": True},
)

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
