"""Arrays in subgraphs and in model-local functions."""

import numpy as np
from entries import add

from build import constant, function, model, weights

X = "g (float[2,3] x) => (float[2,4] y)"
W = weights(3, 4)

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
add(
    "loop_inside",
    model(LOOP.replace("@", "w = " + constant(weights(3, 3)) + " k = MatMul(h, w)"), **LOOPED),
    ("y/body/w",),
)
add("loop_captured", model(LOOP.replace("@", "k = MatMul(h, w)"), w=weights(3, 3), **LOOPED), ("w",))
add(
    "loop_captured_and_outside",
    model(
        LOOP.replace("@", "k = MatMul(h, w)")
        .replace("y)", "y, float[2,3] z)", 1)
        .replace("{", "{ z = MatMul(x, w) ", 1),
        w=weights(3, 3),
        **LOOPED,
    ),
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

F = {"imports": ("f",)}
add(
    "function_inside",
    model(X + "{ h = f.F(x) y = f.F(x) }" + function("F (x) => (y) { w = " + constant(W) + " y = MatMul(x, w) }"), **F),
    ("f::F/w",),
)
add(
    "function_argument",
    model(X + "{ y = f.F(x, w) }" + function("F (x, v) => (y) { y = MatMul(x, v) }"), w=W, **F),
    ("w",),
)
add(
    "function_called_twice",
    model(
        "g (float[2,3] x) => (float[2,3] y) { h = f.F(x, v) y = f.F(h, w) }"
        + function("F (x, v) => (y) { t = Transpose(v) y = MatMul(x, t) }"),
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
    "function_partly_constant",
    model(
        "g (float[2,3] x, float[3,3] a) => (float[2,3] y) { h = f.F(x, w) y = f.F(h, a) }"
        + function("F (x, v) => (y) { y = MatMul(x, v) }"),
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
