"""What conversion promises beyond values: names, taps, training mode, what is trained, If, functions, errors."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

import nmtool
from nmtool.errors import ModelError
from nmtool.interpreter import register_op, taps

RNG = np.random.default_rng(0)


def model(text, opset=17, functions="", **arrays):
    """A model in ONNX's textual syntax, with arrays as initializers."""
    header = f'<ir_version: 8, opset_import: ["" : {opset}, "local" : 1, "custom" : 1]>'
    proto = onnx.parser.parse_model(f"{header} {text} {functions}")
    for name, array in arrays.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    return proto


def weights(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def parameter(module, name):
    return module.get_parameter(module.meta["nmtool.names"][name])


def reference(proto, *inputs):
    from onnx.reference import ReferenceEvaluator

    names = [value.name for value in proto.graph.input]
    return ReferenceEvaluator(proto).run(None, dict(zip(names, inputs, strict=True)))


def agree(proto, *inputs):
    """The module of the model, after a check that it gives what onnx's reference gives."""
    module = nmtool.to_torch(proto).eval()
    result = module(*(torch.from_numpy(value) for value in inputs))
    results = result if isinstance(result, tuple) else (result,)
    for got, expected in zip(results, reference(proto, *inputs), strict=True):
        np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    return module


def test_names_that_are_no_identifiers_lead_to_the_parameters():
    names = {"a.b/c:0": weights(3, 4), "a_b_c_0": weights(4), "T": weights(4)}
    proto = model('g (float[N,3] x) => (float[N,4] y) { h = MatMul(x, "w") k = Add(h, "b") y = Mul(k, "s") }')
    for node, index, name in ((0, 1, "a.b/c:0"), (1, 1, "a_b_c_0"), (2, 1, "T")):
        proto.graph.node[node].input[index] = name
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in names.items())
    module = agree(proto, weights(2, 3))
    for name, array in names.items():
        np.testing.assert_array_equal(parameter(module, name).detach().numpy(), array)


def test_trained_is_what_is_used_as_a_weight():
    proto = model(
        """g (float[1,2,4,4] x) => (float[1,3,8,8] y) {
            h = Conv<kernel_shape = [1, 1]>(x, w, b)
            e = Add(h, epsilon)
            c = Clip(e, low)
            y = Resize(c, , scales)
        }""",
        w=weights(3, 2, 1, 1),
        b=weights(3),
        epsilon=np.float32(1e-3),
        low=np.float32(0),
        scales=np.array([1, 1, 2, 2], np.float32),
    )
    module = agree(proto, weights(1, 2, 4, 4))
    paths = module.meta["nmtool.names"]
    assert {name for name, path in paths.items() if path in dict(module.named_parameters())} == {"w", "b"}


def test_weights_in_constant_nodes_are_trained_under_the_output_s_name():
    node = onnx.helper.make_node("Constant", [], ["w"], value=onnx.numpy_helper.from_array(weights(3, 4)))
    proto = model("g (float[N,3] x) => (float[N,4] y) { y = MatMul(x, w) }")
    proto.graph.node.insert(0, node)
    module = agree(proto, weights(2, 3))
    assert parameter(module, "w").shape == (3, 4)
    assert [tap.array for tap in taps(module).values()] == ["w"]


def test_taps_are_where_noise_enters():
    proto = model(
        "g (float[N,3] x) => (float[N,4] y) { "
        "t = Transpose(w) h = MatMul(x, t) d = MatMul(x, t) s = Add(h, d) y = Add(s, b) }",
        w=weights(4, 3),
        b=weights(4),
    )
    module = agree(proto, weights(2, 3))
    ((path, tap),) = taps(module).items()  # one array, one tap, whatever uses it
    assert tap.array == "w"
    module.set_submodule(path, Zero())
    np.testing.assert_allclose(module(torch.ones(1, 3))[0].detach(), parameter(module, "b").detach())


class Zero(torch.nn.Module):
    def forward(self, weight):
        return 0 * weight


@pytest.mark.parametrize("extra", ["", ", m, v"])
def test_batch_normalization_in_training(extra):
    proto = model(
        f"g (float[N,2,3] x) => (float[N,2,3] y) {{ y{extra} = BatchNormalization<momentum = 0.8, "
        f"training_mode = {int(bool(extra))}>(x, s, b, mean, var) }}",
        s=weights(2),
        b=weights(2),
        mean=np.zeros(2, np.float32),
        var=np.ones(2, np.float32),
    )
    module = nmtool.to_torch(proto)
    x = torch.from_numpy(weights(5, 2, 3))
    native = torch.nn.BatchNorm1d(2, momentum=0.2)
    native.load_state_dict({"weight": parameter(module, "s"), "bias": parameter(module, "b")}, strict=False)
    for module_mode in (True, False):
        torch.testing.assert_close(module.train(module_mode)(x), native.train(module_mode)(x))
    paths = module.meta["nmtool.names"]
    torch.testing.assert_close(module.get_buffer(paths["mean"]), native.running_mean)
    torch.testing.assert_close(module.get_buffer(paths["var"]), native.running_var)


def test_statistics_that_exporters_have_merged_are_apart():
    proto = model(
        """g (float[N,2] x) => (float[N,2] y) {
            h = BatchNormalization(x, one, zero, zero, one)
            y = BatchNormalization(h, one, zero, zero, one)
        }""",
        one=np.ones(2, np.float32),
        zero=np.zeros(2, np.float32),
    )
    module = agree(proto, weights(4, 2))
    module.train()(torch.from_numpy(weights(4, 2)) + 3).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    assert len(list(module.parameters())) == 2
    assert len({buffer.data_ptr() for buffer in module.buffers()}) == 4


def test_dropout_drops_in_training_only():
    proto = model("g (float[N,2] x) => (float[N,2] y) { y = Dropout(x, ratio) }", ratio=np.float32(0.5))
    module = nmtool.to_torch(proto)
    x = torch.ones(500, 2)
    assert torch.equal(module.eval()(x), x)
    assert set(module.train()(x).unique().tolist()) == {0.0, 2.0}


IF = """g (bool[] c, float[N,3] x) => (float[N,4] y) {
    y = If(c) <
        then_branch = then_graph () => (float[N,4] a) { a = MatMul(x, w) },
        else_branch = else_graph () => (float[N,4] b) { t = MatMul(x, w) b = Mul(t, s) }
    >
}"""


@pytest.mark.parametrize("condition", [True, False])
def test_if_takes_the_branch_of_the_condition(condition):
    proto = model(IF, w=weights(3, 4), s=weights(4))
    x = weights(2, 3)
    module = agree(proto, np.array(condition), x)
    module(torch.tensor(condition), torch.from_numpy(x)).sum().backward()
    assert parameter(module, "w").grad is not None
    assert {tap.array for tap in taps(module).values()} == {"w"}


def test_local_functions_are_inlined():
    proto = model(
        "g (float[N,3] x) => (float[N,4] y) { y = local.dense(x, w, b) }",
        functions="""<domain: "local", opset_import: ["" : 17]> dense (x, w, b) => (y)
        { h = MatMul(x, w) y = Add(h, b) }""",
        w=weights(3, 4),
        b=weights(4),
    )
    module = agree(proto, weights(2, 3))
    assert {"w", "b"} <= module.meta["nmtool.names"].keys()
    assert len(taps(module)) == 1


def test_quantized_weights_are_trained_as_codes():
    codes = RNG.integers(-128, 127, (3, 4)).astype(np.int8)
    proto = model(
        """g (float[N,3] x) => (float[N,4] y) {
            q = QuantizeLinear(x, sx, zx)
            d = DequantizeLinear(q, sx, zx)
            w = DequantizeLinear<axis = 1>(codes, scale, zero)
            y = MatMul(d, w)
        }""",
        opset=19,
        sx=np.float32(0.01),
        zx=np.int8(3),
        codes=codes,
        scale=np.abs(weights(4)),
        zero=np.zeros(4, np.int8),
    )
    module = agree(proto, weights(2, 3) * 0.3)
    x = torch.full((1, 3), 0.5, requires_grad=True)
    module(x).sum().backward()
    assert x.grad.abs().min() > 0  # straight through the rounding
    assert parameter(module, "codes").grad.abs().min() > 0
    assert [path for path, _ in module.named_parameters()] == [module.meta["nmtool.names"]["codes"]]


def test_a_batch_baked_into_reshape_is_freed():
    proto = model(
        "g (float[1,2,3] x) => (float[1,4] y) { f = Reshape(x, shape) y = MatMul(f, w) }",
        shape=np.array([1, 6], np.int64),
        w=weights(6, 4),
    )
    module = agree(proto, weights(1, 2, 3))
    assert module(torch.ones(3, 2, 3)).shape == (3, 4)


def test_a_batch_is_followed_in_every_type():
    proto = model(
        "g (double[1,2,3] x) => (double[1,4] y) { f = Reshape(x, shape) d = MatMul(f, w) y = Reshape(d, back) }",
        shape=np.array([1, 6], np.int64),
        back=np.array([1, 4], np.int64),
        w=weights(6, 4).astype(np.float64),
    )
    module = agree(proto, weights(1, 2, 3).astype(np.float64))
    assert module(torch.ones(3, 2, 3, dtype=torch.float64)).shape == (3, 4)


def test_what_cannot_be_converted_is_named_before_anything_is():
    proto = model("g (float[N] x) => (float[N] y) { h = custom.Twice(x) y = Dropout<seed = 1, odd = 2>(h) }")
    with pytest.raises(ModelError, match=r"h: custom::Twice of opset 1; y: Dropout .* attribute odd") as e:
        nmtool.to_torch(proto)
    assert "register_op" in e.value.hint


def test_loops_are_refused_with_a_way_out():
    proto = model(
        """g (int64 n, float[2] x) => (float[2] y) {
            y = Loop(n, , x) <body = step (int64 k, bool c, float[2] a) => (bool d, float[2] b) {
                d = Identity(c) b = custom.Twice(a)
            }>
        }"""
    )
    with pytest.raises(ModelError, match=r"y: Loop of opset 17: loops are not trained through; b: custom::Twice") as e:
        nmtool.to_torch(proto)
    assert "unrolled" in e.value.hint


def test_users_can_register_operators(monkeypatch):
    from nmtool.interpreter import registry

    monkeypatch.setattr(registry, "_OPS", dict(registry._OPS))

    @register_op("Times", domain="custom")
    def times(x, *, factor=2.0, opset):
        return x * factor + opset - 1

    proto = model("g (float[N] x) => (float[N] y) { h = custom.Times(x) y = custom.Times<factor = 3.0>(h) }")
    assert nmtool.to_torch(proto)(torch.ones(1)).tolist() == [6.0]


def test_torch_missing_is_said_with_the_remedy(monkeypatch):
    import sys

    from nmtool.errors import SetupError

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SetupError, match="torch is not installed"):
        nmtool.to_torch(model("g (float[N] x) => (float[N] y) { y = Relu(x) }"))


def test_the_model_is_not_changed():
    proto = model("g (float[1,6] x) => (float[1,6] y) { y = Reshape(x, s) }", s=np.array([1, 6], np.int64))
    before = proto.SerializeToString(deterministic=True)
    nmtool.to_torch(proto)
    assert proto.SerializeToString(deterministic=True) == before


def test_random_operators_draw_from_torch():
    text = """g (float[N,3] x) => (float[N,3] a, float[N,3] b, float[4] c, float[4] d, int32[N,2] e) {
        a = RandomNormalLike<mean = 5.0>(x)
        b = RandomUniformLike<low = 1.0, high = 2.0>(x)
        c = RandomNormal<shape = [4], scale = 0.0, mean = 1.0>()
        d = RandomUniform<shape = [4]>()
        e = Multinomial<sample_size = 2>(x)
    }"""
    module = nmtool.to_torch(model(text))
    x = torch.full((1000, 3), -1e9)
    x[:, 1] = 0
    torch.manual_seed(0)
    normal, uniform, constant, unit, drawn = module(x)
    assert abs(normal.mean().item() - 5) < 0.1
    assert uniform.min() >= 1
    assert uniform.max() <= 2
    assert torch.equal(constant, torch.ones(4))
    assert unit.shape == (4,)
    assert drawn.dtype == torch.int32
    assert (drawn == 1).all()
    torch.manual_seed(0)
    assert torch.equal(module(x)[0], normal)


def test_the_page_s_code_runs(workspace, monkeypatch):
    from nmtool.interpreter import registry

    monkeypatch.setattr(registry, "_OPS", dict(registry._OPS))
    page = (Path(__file__).parents[2] / "docs/torch.md").read_text()
    blocks = re.findall(r"^```py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/torch.md", "exec"), {})


@pytest.mark.parametrize("first", ["HardSigmoid", "LeakyRelu", "Elu", "Softsign", "Relu"])
def test_recurrent_activations_agree_with_onnxruntime(first):
    onnxruntime = pytest.importorskip("onnxruntime")
    proto = model(
        f"""g (float[5,2,3] x) => (float[5,2,2,4] y) {{
            y = GRU<hidden_size = 4, direction = "bidirectional",
                activations = ["{first}", "Tanh", "Sigmoid", "Softsign"]>(x, w, r)
        }}""",
        w=weights(2, 12, 3) / 3,  # larger ones make the states explode without a saturating activation
        r=weights(2, 12, 4) / 3,
    )
    del proto.opset_import[1:]
    x = weights(5, 2, 3)
    (expected,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    got = nmtool.to_torch(proto)(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
