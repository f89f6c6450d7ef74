"""What onnx's reference evaluator gets wrong is put right."""

import numpy as np
import pytest

from build import model, weights
from nmtool import backends


@pytest.mark.parametrize("opset", [7, 8, 9, 13, 14, 15, 18])
def test_batch_normalization_uses_the_stored_statistics(opset):
    arrays = {"scale": weights(3), "bias": weights(3, seed=1), "mean": weights(3, seed=2), "var": weights(3) ** 2}
    text = "g (float[N,3,5] x) => (float[N,3,5] y) { y = BatchNormalization(x, scale, bias, mean, var) }"
    proto = model(text, opset=opset, **arrays)
    feeds = {"x": 3 + weights(4, 3, 5)}
    want = backends.load(proto).run(["y"], feeds)[0]
    np.testing.assert_allclose(backends.load(proto, "reference").run(["y"], feeds)[0], want, rtol=1e-4, atol=1e-5)
