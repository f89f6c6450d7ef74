"""The light zoo of onnx: parity with ONNX Runtime, batches, gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from light import LIGHT, light
from parity import concatenated, measure

SHAPE = (1, 3, 224, 224)
FAST = {"squeezenet"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in LIGHT])
def test_light_zoo(name):
    samples = [[np.random.default_rng(seed).random(SHAPE, np.float32)] for seed in range(3)]
    figures = measure(light(name), samples, concatenated, concatenated)
    assert figures.parity < 1e-4
    assert figures.batch < 1e-4
    assert figures.share == 1
