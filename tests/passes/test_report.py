"""The coverage report: sizes of the noise, shares of weights and of multiply-accumulates, selection, channels."""

import numpy as np
import onnx
import pytest
from zoo import ZOO

from build import model, weights
from nmtool.errors import ModelError, UsageError
from nmtool.passes.report import CoverageReport
from nmtool.verbs.inject import inject

W = np.array([[1, -2, 3], [0, 2, -1]], np.float32)


def report(proto: onnx.ModelProto, **options: object) -> CoverageReport:
    return inject(proto, **options).report


def test_sigma_is_given_three_ways() -> None:
    (node,) = report(model("g (float[1,2] x) => (y) { y = MatMul(x, w) }", w=W), eta=0.1).nodes
    std = np.sqrt(np.mean((W - 0.5) ** 2))  # the mean is 0.5
    assert node.sigma == pytest.approx(0.5)
    assert node.sigma_range == pytest.approx(0.1)
    assert node.sigma_max == pytest.approx(0.5 / 3)
    assert node.sigma_std == pytest.approx(0.5 / std)
    (relative,) = report(model("g (float[1,2] x) => (y) { y = MatMul(x, w) }", w=W), eta=0.1, relative_to="max").nodes
    assert relative.sigma == pytest.approx(0.3)


CNN = """g (float[batch,1,6,6] x) => (y) {
  a = Conv<pads=[1,1,1,1]>(x, w1, b1)
  r = Relu(a)
  d = Conv<group=4, strides=[2,2], kernel_shape=[2,2]>(r, w2)
  f = Flatten(d)
  y = Gemm<transB=1>(f, w3, b3)
}"""
CNN_WEIGHTS = {
    "w1": weights(4, 1, 3, 3),
    "b1": weights(4),
    "w2": weights(4, 1, 2, 2),
    "w3": weights(10, 36),
    "b3": weights(10),
}


def test_shares_of_a_small_cnn() -> None:
    whole = report(model(CNN, **CNN_WEIGHTS))
    assert {node.name: node.macs for node in whole.nodes} == {"a": 36 * 36, "d": 16 * 9, "y": 360}
    assert whole.mac_share == 1
    assert whole.other_weights == 14
    assert whole.other_ops == {"Conv": 1, "Gemm": 1}
    assert whole.weight_share == pytest.approx((36 + 16 + 360) / (36 + 16 + 360 + 14))
    partial = report(model(CNN, **CNN_WEIGHTS), exclude=["a"])
    assert partial.mac_share == pytest.approx((144 + 360) / (1296 + 144 + 360))
    assert partial.weight_share == pytest.approx((16 + 360) / (36 + 16 + 360 + 14))


def test_shares_of_an_mlp_with_a_product_of_activations() -> None:
    text = "h = MatMul(x, v) t = Transpose(h) s = MatMul(h, t) p = MatMul(s, h) y = MatMul(p, w)"
    found = report(model(f"g (float[2,4] x) => (y) {{ {text} }}", v=weights(4, 5), w=weights(5, 3)))
    assert {node.name: node.macs for node in found.nodes} == {"h": 40, "s": 20, "p": 20, "y": 30}
    assert found.mac_share == pytest.approx(70 / 110)
    assert found.weight_share == 1


def test_an_array_used_twice_counts_once() -> None:
    found = report(ZOO["tied"].proto)
    assert found.weight_share == 1
    assert found.other_weights == 0
    assert [node.macs for node in found.nodes] == [0, 2 * 4 * 5]


@pytest.mark.parametrize(
    ("name", "macs"),
    {
        "matmul_left": [3 * 4 * 2],
        "matmul_batched": [5 * 2 * 3 * 4],
        "matmul_vector": [6],
        "gemm_11": [2 * 3 * 4],
        "gemm_left": [2 * 4 * 3],
        "conv_1d": [36 * 9 * 2],
        "conv_groups": [6 * 2 * 9 * 5 * 3 * 2],
        "conv_depthwise": [27 * 16 * 2],
        "conv_3d": [3 * 2 * 8 * 3 * 4 * 3],
        "conv_same_upper": [3 * 2 * 6 * 3 * 3],
        "conv_transpose": [3 * 2 * 9 * 20],
        "conv_transpose_groups": [4 * 3 * 4 * 16],
        "lstm": [2 * 16 * 5 * 6, 2 * 16 * 4 * 6],
        "gru": [2 * 12 * 5 * 6, 2 * 12 * 4 * 6],
        "deform_conv": [3 * 2 * 4 * 9],
        "qdq_channel": [24],
        "four_bits": [128, 64],
    }.items(),
)
def test_multiply_accumulates(name: str, macs: list[int]) -> None:
    assert [node.macs for node in report(ZOO[name].proto).nodes] == macs


def test_a_dimension_that_is_not_a_number_counts_as_one_batch_only() -> None:
    text = "g (float[@] x) => (y) { y = LSTM<hidden_size=4>(x, w, r) }"
    arrays = {"w": weights(1, 16, 5), "r": weights(1, 16, 4)}
    assert [n.macs for n in report(model(text.replace("@", "3,n,5"), **arrays)).nodes] == [3 * 80, 3 * 64]
    assert [n.macs for n in report(model(text.replace("@", "t,2,5"), **arrays)).nodes] == [None, None]


CHANNELS = {  # operand -> axes of the unit's statistics
    "matmul_right": ("w", (0,)),
    "matmul_left": ("w", (1,)),
    "matmul_batched": ("w", (0, 1)),
    "gemm_00": ("w", (0,)),
    "gemm_01": ("w", (1,)),
    "gemm_left": ("w", (0,)),
    "conv_2d": ("w", (1, 2, 3)),
    "conv_groups": ("w", (1, 2, 3)),
    "conv_transpose": ("w", (0, 2, 3)),
    "transpose": ("w", (1,)),
    "fused_matmul": ("w", (1,)),
    "microsoft_attention": ("w", (0,)),
    "lstm": ("w", (2,)),
    "gru": ("w", (2,)),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_noise_per_channel_is_sized_by_each_channel(name: str) -> None:
    array, axes = CHANNELS[name]
    w = next(onnx.numpy_helper.to_array(t) for t in ZOO[name].proto.graph.initializer if t.name == array)
    noisy = inject(ZOO[name].proto, eta=0.1, per_channel=True).model
    std = noisy.graph.initializers[f"{array}::std"].const_value.numpy()
    np.testing.assert_allclose(std, 0.1 * np.ptp(w, axis=axes, keepdims=True), rtol=1e-6)


def test_noise_per_channel_of_a_grouped_conv_transpose() -> None:
    w = onnx.numpy_helper.to_array(ZOO["conv_transpose_groups"].proto.graph.initializer[0])  # [4, 3, 2, 2], two groups
    std = (
        inject(ZOO["conv_transpose_groups"].proto, eta=0.1, per_channel=True)
        .model.graph.initializers["w::std"]
        .const_value.numpy()
    )
    assert std.shape == (4, 3, 1, 1)
    for group in range(2):
        rows = slice(2 * group, 2 * group + 2)
        expected = 0.1 * np.ptp(w[rows], axis=(0, 2, 3))
        np.testing.assert_allclose(std[rows, :, 0, 0], [expected, expected], rtol=1e-6)


def test_where_channels_are_hidden_the_array_is_the_unit_and_the_report_says_so() -> None:
    found = inject(ZOO["chain"].proto, eta=0.1, per_channel=True)
    assert "not an axis" in found.report.nodes[0].reason
    assert found.model.graph.initializers["w::std"].const_value.numpy().shape == ()


THREE = model(
    "g (float[2,4] x) => (y) { [first] a = MatMul(x, u) [second] b = Gemm(a, v) [third] y = MatMul(b, w) }",
    u=weights(4, 4),
    v=weights(4, 4, seed=1),
    w=weights(4, 4, seed=2),
)


@pytest.mark.parametrize(
    ("options", "noisy"),
    [
        ({"include": ["f*", "third"]}, ["first", "third"]),
        ({"exclude": ["*d"]}, ["first"]),
        ({"include": ["*"], "exclude": ["first"]}, ["second", "third"]),
        ({"include_ops": ["Gemm"]}, ["second"]),
        ({"exclude_ops": ["MatMul"]}, ["second"]),
        ({"skip_first": 1}, ["second", "third"]),
        ({"skip_last": 2}, ["first"]),
        ({"skip_first": 1, "skip_last": 1}, ["second"]),
    ],
)
def test_selection(options: dict[str, object], noisy: list[str]) -> None:
    nodes = report(THREE, **options).nodes
    assert [node.name for node in nodes if node.status == "noisy"] == noisy
    assert all("--" in node.reason for node in nodes if node.status == "digital")
    assert [node.name for node in nodes] == ["first", "second", "third"]


def test_patterns_that_match_nothing_are_errors() -> None:
    with pytest.raises(UsageError, match="no analog node matches: fourth"):
        report(THREE, include=["fourth"])
    with pytest.raises(UsageError, match="no analog node matches: Conv"):
        report(THREE, exclude_ops=["Conv"])
    with pytest.raises(ModelError, match="nothing to make noisy"):
        report(THREE, skip_first=3)


def test_equal_weights_stay_digital() -> None:
    text = "g (float[1,2] x) => (y, z) { y = MatMul(x, w) z = MatMul(x, v) }"
    found = report(model(text, w=np.ones((2, 3), np.float32), v=weights(2, 3)))
    assert "the weights are all equal" in found.nodes[0].reason
    assert found.nodes[1].status == "noisy"


def test_what_an_array_is_computed_from_is_not_counted_beside_it() -> None:
    text = "g (float[1,4] x) => (y) { w = Concat<axis=1>(v, u) h = MatMul(x, w) c = Mul(b, s) y = Add(h, c) }"
    found = report(model(text, v=weights(4, 2), u=weights(4, 3), b=weights(5), s=weights(5)))
    assert (found.other_weights, found.other_ops) == (10, {"Mul": 2})
    assert found.weight_share == pytest.approx(20 / 30)
