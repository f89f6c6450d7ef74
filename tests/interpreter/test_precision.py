"""Half-precision models are trained in float32."""

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from networks import build, export, sample
from onnx import numpy_helper
from running import run_ort

import nmtool
from build import model, weights
from nmtool.interpreter.precision import widen
from nmtool.model import load
from nmtool.passes.graphs import value_names

HALF, BRAIN = np.float16, ml_dtypes.bfloat16


def widened(proto):
    """The module of the widened model, after a check that nothing of half precision is left but names are."""
    source = load(proto)
    names = value_names(source)
    wide = widen(source)
    assert wide is source
    assert value_names(wide) == names
    text = onnx.printer.to_text(ir.to_proto(wide))
    assert "float16" not in text
    module = nmtool.to_torch(wide).eval()
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    return module


def trains(module, *inputs):
    """The outputs, after a check that a gradient reaches every parameter."""
    result = module(*map(torch.from_numpy, inputs))
    assert result.dtype == torch.float32
    result.square().sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    return result.detach().numpy()


def agree(proto, x):
    """The widened module gives what ONNX Runtime gives for the original, within half precision."""
    module = widened(proto)
    (expected,) = run_ort(proto, {proto.graph.input[0].name: x.astype(HALF)})
    got = trains(module, x)
    np.testing.assert_allclose(got, expected.astype(np.float32), rtol=2e-2, atol=2e-3 * np.abs(expected).max())
    return module


def test_a_float16_network_agrees_with_onnxruntime():
    proto = model(
        """g (float16[1,3,8,8] x) => (float16[1,4] y) {
            c = Conv<kernel_shape = [3, 3]>(x, k, b)
            n = BatchNormalization(c, s, o, m, v)
            r = Relu(n)
            f = Flatten(r)
            y = Gemm<transB = 1>(f, w, z)
        }""",
        k=weights(2, 3, 3, 3).astype(HALF),
        b=weights(2).astype(HALF),
        s=np.ones(2, HALF),
        o=weights(2).astype(HALF),
        m=np.zeros(2, HALF),
        v=np.full(2, 2, HALF),
        w=weights(4, 72).astype(HALF),
        z=weights(4).astype(HALF),
    )
    module = agree(proto, weights(1, 3, 8, 8))
    names = module.meta["nmtool.names"]
    assert set(names) == {"k", "b", "s", "o", "m", "v", "w", "z"}
    stored = numpy_helper.to_array(next(array for array in proto.graph.initializer if array.name == "w"))
    np.testing.assert_array_equal(module.get_parameter(names["w"]).detach().numpy(), stored.astype(np.float32))


@pytest.mark.parametrize("name", ["Cnn", "Vit", "Gru", "UNetResize"])
def test_float16_exports_agree_with_onnxruntime(name):
    x = sample(name, 1)
    proto = export(build(name).half(), x.half(), 17, dynamo=False)
    agree(proto, x.numpy())


def test_mixed_precision_with_casts_and_constants():
    proto = model(
        """g (float16[N,4] x) => (float16[N,4] y) {
            half = Constant<value = float16[4,4] {1, 0, 0, 2, 0, 1, 0, 0, 0, 3, 1, 0, 0, 0, 0, 1}>()
            h = MatMul(x, half)
            wide = Cast<to = 1>(h)
            d = MatMul(wide, w)
            n = Softmax(d)
            back = Cast<to = 10>(n)
            like = CastLike(n, x)
            shape = Shape(x)
            one = ConstantOfShape<value = float16[1] {1}>(shape)
            t = Add(back, like)
            y = Add(t, one)
        }""",
        w=weights(4, 4),
    )
    module = agree(proto, weights(3, 4))
    trained = dict(module.named_parameters())
    assert {name for name, path in module.meta["nmtool.names"].items() if path in trained} == {"w", "half"}


@pytest.mark.parametrize(
    "node",
    [
        "EyeLike<dtype = 10>(w)",
        "EyeLike<dtype = 16>(w)",
        "RandomNormalLike<dtype = 10>(x)",
        "RandomUniform<dtype = 10, shape = [4, 4]>()",
        "Bernoulli<dtype = 10>(w)",
    ],
)
def test_attributes_that_name_a_type(node):
    proto = model(
        f"g (float16[4,4] x) => (float16[4,4] y) {{ c = {node} t = Cast<to = 10>(c) h = MatMul(x, w) y = Add(h, t) }}",
        w=np.eye(4, dtype=HALF),
    )
    trains(widened(proto), weights(4, 4))


FUNCTIONS = """
<domain: "f", opset_import: ["" : 18]> inner <type> (x, w) => (y) { t = MatMul(x, w) y = Cast<to: int = @type>(t) }
<domain: "f", opset_import: ["" : 18, "f" : 1]> project <kind> (x, w) => (y) { y = f.inner<type: int = @kind>(x, w) }
"""


def test_subgraphs_and_functions_are_widened():
    proto = model(
        """g (float16[N,4] x) => (float16[N,4] y) {
            h = f.project<kind = 10>(x, w)
            zero = Constant<value = float16 {0}>()
            s = ReduceSum<keepdims = 0>(h)
            c = Greater(s, zero)
            y = If(c) <
                then_branch = a () => (float16[N,4] p) { v = Cast<to = 10>(h) p = Mul(v, m) },
                else_branch = b () => (float16[N,4] q) { q = Sub(h, m) }
            >
        }"""
        + FUNCTIONS,
        imports=("f",),
        w=weights(4, 4).astype(HALF),
        m=weights(4).astype(HALF),
    )
    agree(proto, weights(3, 4))


def test_bfloat16_becomes_float32_without_loss():
    w = weights(4, 3).astype(BRAIN)
    proto = model("g (bfloat16[N,4] x) => (bfloat16[N,3] y) { y = MatMul(x, w) }", w=w)
    x = weights(2, 4)
    np.testing.assert_allclose(trains(widened(proto), x), x @ w.astype(np.float32), rtol=1e-5)


def test_noise_is_that_of_the_half_precision_model():
    clean = model("g (float16[N,4] x) => (float16[N,3] y) { y = MatMul(x, w) }", w=weights(4, 3).astype(HALF))
    module = agree(ir.to_proto(nmtool.inject(clean, eta=0.3).model), weights(2, 4))
    clean_output = nmtool.to_torch(widen(load(clean)))(torch.from_numpy(weights(2, 4)))
    assert (module(torch.from_numpy(weights(2, 4))) - clean_output).abs().max() > 0.1
