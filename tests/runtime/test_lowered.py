"""The operators of lowered models against numpy, at every SIMD level."""

import os
import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper

from nmtool.noise.reference import Source, normals

SOURCE = Source(seed=0x123456789ABCDEF, stream=2**55 + 12345, trial=9, draw=3)


def run(session_of, op, inputs, shape, attributes=()):
    """One operator, whose inputs are float32 but for the trial."""
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in inputs.items()
    ]
    node = helper.make_node(op, list(inputs), ["y"], domain="nmtool")
    node.attribute.extend(helper.make_attribute(name, value) for name, value in dict(attributes).items())
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nmtool", 1)]
    model = helper.make_model(helper.make_graph([node], "one", values, [y]), opset_imports=opsets, ir_version=8)
    return session_of(model, 2).run(None, inputs)[0]


def noise_inputs(std):
    return {"std": std, "trial": np.array(SOURCE.trial), "scale": np.array(0.5, np.float32)}


def stored(weights, block, inner):
    """Weights [O, I, height, width] in blocks of output channels, and inside these of input channels."""
    outputs, inputs, *kernel = weights.shape
    padded = np.pad(weights, ((0, -outputs % block), (0, -inputs % inner), (0, 0), (0, 0)))
    split = padded.reshape(-1, block, padded.shape[1] // inner, inner, *kernel)
    return np.ascontiguousarray(split.transpose(0, 2, 4, 5, 3, 1)).reshape(padded.shape)


SOURCES = {"seed": SOURCE.seed, "stream": SOURCE.stream, "draw": SOURCE.draw}

# Whole blocks and others, one column and many, whole groups of draws and others.
SHAPES = [(16, 16, 3, 3), (40, 24, 1, 1), (33, 17, 5, 3), (16, 150, 3, 3), (8, 1, 7, 7), (64, 700, 1, 1)]


@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("pointwise", [True, False])
@pytest.mark.parametrize(
    "shape", [(16, 16, 3, 3), (40, 24, 1, 1), (33, 17, 5, 3), (16, 150, 3, 3), (8, 1, 7, 7), (64, 700, 1, 1)]
)
def test_blocked_noise_is_the_noise_of_the_original_array(session_of, library, block, pointwise, shape):
    if (block, os.environ.get("NMTOOL_SIMD", library.levels[-1])) == (8, "avx512"):
        pytest.skip("blocks are 16 channels with AVX-512")
    inner = 1 if pointwise else block
    generator = np.random.default_rng(0)
    weights = generator.standard_normal(shape).astype(np.float32)
    std = generator.uniform(0.5, 2, shape[0]).astype(np.float32)
    z = normals(SOURCE, 0, weights.size).reshape(shape)
    expected = stored(weights + (std * np.float32(0.5)).reshape(-1, 1, 1, 1) * z, block, inner)
    attributes = SOURCES | {"channels": shape[0], "inputs": shape[1], "block": block, "inner": inner}
    inputs = {"x": stored(weights, block, inner), **noise_inputs(std)}
    actual = run(session_of, "BlockedGaussianNoise", inputs, expected.shape, attributes)
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=1e-6)


def test_blocked_noise_refuses_weights_that_are_stored_otherwise(session_of):
    inputs = {"x": np.zeros((32, 16, 3, 3), np.float32), **noise_inputs(np.ones(1, np.float32))}
    attributes = SOURCES | {"channels": 48, "inputs": 16, "block": 16, "inner": 16}
    with pytest.raises(Exception, match=r"x of shape \[32,16,3,3\], expected float32 weights that are blocked"):
        run(session_of, "BlockedGaussianNoise", inputs, (32, 16, 3, 3), attributes)


def test_blocks_of_another_processor_are_refused_when_the_session_is_opened(session_of):
    inputs = {"x": np.zeros((4, 4, 3, 3), np.float32), **noise_inputs(np.ones(1, np.float32))}
    attributes = SOURCES | {"channels": 4, "inputs": 4, "block": 2, "inner": 2}
    with pytest.raises(Exception, match="blocks of 2 channels are none of"):
        run(session_of, "BlockedGaussianNoise", inputs, (4, 4, 3, 3), attributes)


@pytest.mark.parametrize("lead", [(1,), (3, 2), (13,), (70,), ()], ids=str)
@pytest.mark.parametrize(("depth", "channels"), [(1, 64), (40, 192), (1537, 128)])
@pytest.mark.parametrize("per_channel", [False, True], ids=["layer", "channel"])
def test_product_with_noise_is_that_with_the_noisy_matrix(session_of, lead, depth, channels, per_channel):
    generator = np.random.default_rng(0)
    x, w = (generator.standard_normal(shape).astype(np.float32) for shape in ((*lead, depth), (depth, channels)))
    std, bias = generator.uniform(0.5, 2, (2, channels if per_channel else 1)).astype(np.float32)
    z = normals(SOURCE, 0, w.size).reshape(w.shape)
    expected = x.astype(np.float64) @ (w + std * np.float64(0.5) * z) + bias
    inputs = {"x": x, "w": w, **noise_inputs(std), "bias": bias}
    actual = run(session_of, "GaussianMatMul", inputs, expected.shape, SOURCES)
    np.testing.assert_allclose(actual, expected, atol=1e-6 * np.sqrt(depth) * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(8, 70), (9, 64), (1, 8, 64)])
def test_product_refuses_a_matrix_that_does_not_fit(session_of, shape):
    inputs = {"x": np.zeros((2, 8), np.float32), "w": np.zeros(shape, np.float32)}
    inputs |= noise_inputs(np.ones(1, np.float32)) | {"bias": np.zeros(1, np.float32)}
    with pytest.raises(Exception, match=r"w of shape \[.*\], expected \[8, a multiple of 64\]"):
        run(session_of, "GaussianMatMul", inputs, (2, shape[-1]), SOURCES)


@pytest.mark.parametrize(("rows", "channels"), [(1, 64), (7, 70), (70, 300), (100, 128)])
def test_correlated_noise_is_the_factor_times_the_noise(session_of, rows, channels):
    generator = np.random.default_rng(0)
    x, std = generator.standard_normal((rows, channels)).astype(np.float32), generator.uniform(1, 2, channels)
    factor = np.triu(generator.standard_normal((rows, rows))).astype(np.float32)
    inputs = {"x": x, "U": factor, **noise_inputs(std.astype(np.float32))}
    padded = -(-channels // 64) * 64  # a row of noise begins a group
    z = normals(SOURCE, 0, rows * padded).reshape(rows, padded)[:, :channels]
    expected = x + factor.T.astype(np.float64) @ (std * 0.5 * z)
    actual = run(session_of, "CorrelatedNoise", inputs, x.shape, SOURCES)
    np.testing.assert_allclose(actual, expected, atol=2e-6 * np.abs(expected).max())


def test_correlated_noise_refuses_another_factor(session_of):
    x = np.zeros((4, 64), np.float32)
    inputs = {"x": x, "U": np.eye(5, dtype=np.float32), **noise_inputs(np.ones(1, np.float32))}
    with pytest.raises(Exception, match=r"U of shape \[5,5\], expected \[4, 4\]"):
        run(session_of, "CorrelatedNoise", inputs, x.shape, SOURCES)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 31, 64, 100, 257])
@pytest.mark.parametrize("spare", [1, 1000])
def test_factor_is_that_of_numpy(session_of, size, spare):
    x = np.random.default_rng(size).standard_normal((size, 2 * size + spare)).astype(np.float32)
    actual = run(session_of, "GramFactor", {"x": x}, (size, size))
    expected = np.linalg.cholesky(x.astype(np.float64) @ x.T).T
    np.testing.assert_allclose(actual, expected, atol=2e-5 * np.abs(expected).max() * np.sqrt(size))
    np.testing.assert_array_equal(np.tril(actual, -1), 0)


@pytest.mark.parametrize("rank", [1, 3, 20])
def test_factor_of_dependent_rows(session_of, rank):
    x = np.random.default_rng(rank).standard_normal((5, 8, rank)).astype(np.float32)
    factor = run(session_of, "GramFactor", {"x": x}, (40, 40))
    gram = x.reshape(40, rank) @ x.reshape(40, rank).T
    np.testing.assert_allclose(factor.T @ factor, gram, atol=1e-4 * np.abs(gram).max())
    assert np.count_nonzero(np.diag(factor)) <= rank + 2  # what rounding leaves is not taken for a direction of its own


def test_factor_of_zeros(session_of):
    np.testing.assert_array_equal(run(session_of, "GramFactor", {"x": np.zeros((5, 9), np.float32)}, (5, 5)), 0)


def test_noise_of_a_convolution_refuses_what_does_not_fit(session_of):
    window = {f"{name}_{axis}": 1 for name in ("kernel", "stride", "dilation") for axis in (0, 1)}
    attributes = SOURCES | window | {"channels": 16, "block": 16}
    inputs = {"x": np.zeros((1, 16, 2, 2), np.float32), **noise_inputs(np.ones(1, np.float32))}
    inputs |= {"sum": np.zeros((1, 16, 2, 3), np.float32)}
    with pytest.raises(Exception, match=r"sum of shape \[1,16,2,3\], expected \[1\] or \[1,16,2,2\]"):
        run(session_of, "ConvNoise", inputs, (1, 16, 2, 2), attributes)
    inputs["x"] = np.zeros((1, 20, 2, 2), np.float32)
    with pytest.raises(Exception, match="expected float32 images with channels in blocks of 16"):
        run(session_of, "ConvNoise", inputs, (1, 16, 2, 2), attributes)


@pytest.mark.parametrize("level", ["portable", "avx2"])
def test_at_other_levels(level, library):
    if level not in library.levels:
        pytest.skip(f"this CPU has no {level}")
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", __file__, "-k", "not other_levels"]
    done = subprocess.run(command, env={**os.environ, "NMTOOL_SIMD": level}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
