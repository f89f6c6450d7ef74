"""How far two arrays are apart, and how far a model's precision lets them be."""

import numpy as np
import onnx
import pytest

from build import model, weights
from nmtool.difference import COARSE_TOLERANCE, TOLERANCE, allowed_difference, difference


@pytest.mark.parametrize(
    ("have", "want", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.2),
        ([1e-7, 0.0], [0.0, 0.0], 0.0),
        ([1.0], [0.0], np.inf),
        ([np.nan, np.inf, -np.inf], [np.nan, np.inf, -np.inf], 0.0),
        ([np.nan, 1.0], [1.0, 1.0], np.inf),
        ([np.inf], [-np.inf], np.inf),
        ([1.0], [np.inf], np.inf),
        ([], [], 0.0),
        ([1.0, 1.0], [1.0], np.inf),
        ([1, 2, 3, 4], [1, 2, 3, 5], 0.25),
        ([True], [True], 0.0),
        (np.uint8([3, 100]), np.uint8([2, 100]), 0.0),  # codes, which may round either way
        (np.int8([-128, 100]), np.int8([127, 100]), 255 / 127),
    ],
)
def test_difference(have, want, expected):
    assert difference(np.array(have), np.array(want)) == pytest.approx(expected)


def test_bfloat16_is_compared():
    import ml_dtypes

    array = weights(3).astype(ml_dtypes.bfloat16)
    assert difference(array, array) == 0
    assert difference(2 * array, array) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "dtype", "expected"),
    [
        ("g (float[N,4] x) => (float[N,4] y) { y = MatMul(x, w) }", np.float32, TOLERANCE),
        ("g (float16[N,4] x) => (float16[N,4] y) { y = MatMul(x, w) }", np.float16, COARSE_TOLERANCE),
        ("g (float[N,4] x) => (float[N,4] y) { v = Cast<to = 1>(w) y = MatMul(x, v) }", np.float16, COARSE_TOLERANCE),
        (
            "g (float[N,4] x) => (float[N,4] y) "
            "{ a = Cast<to = 10>(x) v = Cast<to = 10>(w) b = MatMul(a, v) y = Cast<to = 1>(b) }",
            np.float32,
            COARSE_TOLERANCE,
        ),
        (
            "g (float[N,4] x) => (float[N,4] y) "
            "{ s = Constant<value_float = 1.0>() q = QuantizeLinear(x, s) a = DequantizeLinear(q, s) y = Add(a, w) }",
            np.float32,
            COARSE_TOLERANCE,
        ),
    ],
)
def test_precision_decides_on_the_tolerance(text, dtype, expected):
    proto: onnx.ModelProto = model(text, w=weights(4, 4, dtype=dtype))
    assert allowed_difference(proto) == expected
