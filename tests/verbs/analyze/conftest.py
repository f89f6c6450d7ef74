"""Small models to analyse, whose layers do known things."""

import numpy as np
import onnx
import pytest

from build import model

SAMPLES, FEATURES, HIDDEN, CLASSES = 60, 6, 8, 3


def _weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="session")
def classifier() -> onnx.ModelProto:
    """Two matrix products with a rectifier between; the second has little to lose."""
    text = (
        "g (float[N,6] x) => (float[N,3] y) "
        "{ [first] h = MatMul(x, a) r = Relu(h) [second] z = MatMul(r, b) y = Add(z, c) }"
    )
    return model(text, a=_weights(1, FEATURES, HIDDEN), b=_weights(2, HIDDEN, CLASSES), c=np.zeros(3, np.float32))


@pytest.fixture(scope="session")
def labelled(classifier: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Inputs, and what the clean model makes of them as labels."""
    x = np.random.default_rng(3).standard_normal((SAMPLES, FEATURES)).astype(np.float32)
    y = np.maximum(x @ _weights(1, FEATURES, HIDDEN), 0) @ _weights(2, HIDDEN, CLASSES)
    return {"x": x, "labels": y.argmax(axis=1)}
