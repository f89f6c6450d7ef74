"""The operators in onnxruntime sessions against nmtool.noise.reference."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from nmtool.noise import reference
from nmtool.noise.reference import Source

SOURCE = Source(seed=0x123456789ABCDEF, stream=2**55 + 12345, trial=9, draw=3)
DTYPES = ["float32", "float64", "float16", "bfloat16"]
PARAMETERS = {
    "GaussianNoise": ["std"],
    "LognormalNoise": ["mean", "std"],
    "StuckFaults": ["probabilities", "values"],
}
SHAPES = [(), (1,), (0,), (3, 0, 2), (63,), (64,), (65,), (2047,), (7, 293), (16384,), (5, 7, 1001)]

# Shapes of std on x [4, 6, 5, 7]: one value; all; one block of dimensions; and patterns with several.
STD_SHAPES = [
    (),
    (1,),
    (1, 1, 1, 1),
    (4, 6, 5, 7),
    (4, 1, 1, 1),
    (1, 6, 1, 1),
    (4, 6, 1, 1),
    (7,),
    (5, 7),
    (1, 1, 5, 1),
    (6, 5, 1),
    (4, 1, 5, 1),
    (1, 6, 1, 7),
    (4, 1, 1, 7),
]


@pytest.fixture
def exact_normals(library, monkeypatch):
    """The reference on the library's own normals: what is left to compare is exact."""
    draw = lambda source, start, stop: library.normals(source, start, stop, "portable")  # noqa: E731
    monkeypatch.setattr(reference, "normals", draw)


def array(shape, dtype, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    if dtype == "bfloat16":
        return x.astype(pytest.importorskip("ml_dtypes").bfloat16)
    return np.asarray(x, dtype)


def positive(shape, seed=1):
    return np.asarray(np.random.default_rng(seed).uniform(0.01, 2, shape), np.float32)


def assert_same_bits(actual, expected):
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(np.atleast_1d(actual).view(np.uint8), np.atleast_1d(expected).view(np.uint8))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("exact_normals")
def test_gaussian_shapes(run_op, shape, dtype):
    x, std = array(shape, dtype), np.array(0.3, np.float32)
    y = run_op("GaussianNoise", x, {"std": std}, SOURCE, scale=0.7)
    assert_same_bits(y, np.asarray(reference.gaussian_noise(x, std, SOURCE, 0.7)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("std_shape", STD_SHAPES, ids=str)
@pytest.mark.usefixtures("exact_normals")
def test_gaussian_std_forms(run_op, std_shape, dtype):
    x, std = array((4, 6, 5, 7), dtype), positive(std_shape)
    y = run_op("GaussianNoise", x, {"std": std}, SOURCE, scale=1.5)
    assert_same_bits(y, reference.gaussian_noise(x, std, SOURCE, 1.5))


@pytest.mark.parametrize(
    "std_shape", [(1,), (300, 1, 1), (1, 50), (300, 40, 1), (300, 1, 50), (40, 50), (300, 40, 50)], ids=str
)
@pytest.mark.usefixtures("exact_normals")
def test_gaussian_std_across_chunks(run_op, std_shape):
    x, std = array((300, 40, 50), "float32"), positive(std_shape)
    y = run_op("GaussianNoise", x, {"std": std}, SOURCE, threads=2)
    assert_same_bits(y, reference.gaussian_noise(x, std, SOURCE))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 4e-7), ("float64", 4e-7), ("float16", 2e-3), ("bfloat16", 1.6e-2)]
)
@pytest.mark.parametrize(("mean_shape", "std_shape"), [((), ()), ((4, 1, 1, 1), (7,)), ((4, 6, 5, 7), (1, 6, 1, 1))])
@pytest.mark.usefixtures("exact_normals")
def test_lognormal(run_op, mean_shape, std_shape, dtype, tolerance):
    x, mean, std = array((4, 6, 5, 7), dtype), -positive(mean_shape), positive(std_shape)
    y = run_op("LognormalNoise", x, {"mean": mean, "std": std}, SOURCE, scale=0.9)
    expected = reference.lognormal_noise(x, mean, std, SOURCE, 0.9)
    np.testing.assert_allclose(y.astype(np.float64), expected.astype(np.float64), rtol=tolerance)


@pytest.mark.parametrize("shape", [(), (0,), (2047,), (40000,)], ids=str)
def test_lognormal_shapes(run_op, shape):
    x, mean, std = array(shape, "float32"), np.array(-0.5, np.float32), np.array(0.2, np.float32)
    y = run_op("LognormalNoise", x, {"mean": mean, "std": std}, SOURCE)
    np.testing.assert_allclose(y, reference.lognormal_noise(x, mean, std, SOURCE), rtol=1e-6)


def test_exponential_over_its_whole_range(run_op):
    # With std = 0 the operator is x * exp(mean).
    mean = np.concatenate([np.linspace(-110, 92, 20001), [np.inf, -np.inf, np.nan]]).astype(np.float32)
    zero = np.array(0, np.float32)
    y = run_op("LognormalNoise", np.ones_like(mean), {"mean": mean, "std": zero}, SOURCE)
    with np.errstate(over="ignore", under="ignore"):
        expected = np.exp(mean.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(y, expected, rtol=2.4e-7, atol=1.5e-45)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("faults", [0, 1, 3])
@pytest.mark.parametrize("shape", [(), (0,), (65,), (5, 7, 1001)], ids=str)
def test_stuck_faults(run_op, shape, faults, dtype):
    x = array(shape, dtype)
    probabilities, values = np.float32([0.1, 0.05, 0.2])[:faults], np.float32([0.0, -1.0, 2.5])[:faults]
    y = run_op("StuckFaults", x, {"probabilities": probabilities, "values": values}, SOURCE, scale=0.8)
    assert_same_bits(y, np.asarray(reference.stuck_faults(x, probabilities, values, SOURCE, 0.8)) if faults else x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", PARAMETERS)
def test_scale_zero_returns_x_itself(run_op, op, dtype):
    x = array((1000,), dtype)
    x[:3] = [-0.0, np.inf, np.nan]
    one = np.ones(1, np.float32)
    assert_same_bits(run_op(op, x, dict.fromkeys(PARAMETERS[op], one), SOURCE, scale=0.0), x)


@pytest.mark.usefixtures("exact_normals")
def test_float16_extremes(run_op):
    # Subnormals, the largest numbers, infinities and NaN on both sides of the addition.
    bits = np.arange(0, 2**16, 7, dtype=np.uint16)
    x, std = bits.view(np.float16), np.float32(np.resize([1e-9, 1e-7, 1e-5, 1, 1e4, 1e6], bits.shape))
    with np.errstate(over="ignore", invalid="ignore"):
        expected = reference.gaussian_noise(x, std, SOURCE)
    np.testing.assert_array_equal(run_op("GaussianNoise", x, {"std": std}, SOURCE), expected)


@pytest.mark.parametrize("op", PARAMETERS)
def test_threads_do_not_matter(run_op, op):
    x, parameter = array((123457,), "float32"), np.float32([0.1])
    one, two = (run_op(op, x, dict.fromkeys(PARAMETERS[op], parameter), SOURCE, threads=n) for n in (1, 2))
    assert_same_bits(one, two)


@pytest.mark.usefixtures("exact_normals")
def test_trial_may_have_one_dimension_and_attributes_may_be_unknown(run_op):
    x, std = array((100,), "float32"), np.float32([0.5])
    y = run_op("GaussianNoise", x, {"std": std}, SOURCE, scale=np.float32([2]), trial=np.array([9]), unknown=1)
    assert_same_bits(y, reference.gaussian_noise(x, std, SOURCE, 2))


@pytest.mark.parametrize("shape", [[4, 6], ["batch", 6], [None, 6]], ids=str)
@pytest.mark.parametrize("op", PARAMETERS)
def test_type_and_shape_are_inferred(session_of, op, shape):
    inputs = ["x", *PARAMETERS[op], "trial", "scale"]
    types = [TensorProto.FLOAT16, *(TensorProto.FLOAT for _ in PARAMETERS[op]), TensorProto.INT64, TensorProto.FLOAT]
    shapes = [shape, *([1] for _ in inputs[1:])]
    graph = helper.make_graph(
        [
            helper.make_node(op, inputs, ["noisy"], domain="nmtool", seed=1, stream=2),
            helper.make_node("Relu", ["noisy"], ["y"]),
        ],
        "inferred",
        [helper.make_tensor_value_info(*value) for value in zip(inputs, types, shapes, strict=True)],
        [helper.make_empty_tensor_value_info("y")],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nmtool", 1)]
    session = session_of(helper.make_model(graph, opset_imports=opsets, ir_version=8), threads=1)
    assert session.get_outputs()[0].type == "tensor(float16)"
    assert session.get_outputs()[0].shape == ([] if None in shape else shape)  # a nameless dimension: nothing is said
    x = np.zeros((4, 6), np.float16)
    feeds = {"x": x, **dict.fromkeys(PARAMETERS[op], np.float32([1])), "trial": np.array([0]), "scale": np.float32([1])}
    assert session.run(None, feeds)[0].shape == (4, 6)


def test_the_kernel_wins_over_a_model_local_function(session_of):
    # inject stores the operators' bodies in the model, for runtimes without the library. Here the body does nothing.
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nmtool", 1)]
    names = ["x", "std", "trial", "scale"]
    body = helper.make_function(
        "nmtool",
        "GaussianNoise",
        names,
        ["y"],
        [helper.make_node("Identity", ["x"], ["y"])],
        opsets,
        ["seed", "stream"],
    )
    types = [TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64, TensorProto.FLOAT]
    graph = helper.make_graph(
        [helper.make_node("GaussianNoise", names, ["y"], domain="nmtool", seed=1, stream=2)],
        "both",
        [helper.make_tensor_value_info(*value, [1]) for value in zip(names, types, strict=True)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=opsets, functions=[body], ir_version=8)
    one = np.float32([1])
    y = session_of(model, threads=1).run(None, {"x": one, "std": one, "trial": np.array([0]), "scale": one})[0]
    assert y != one
