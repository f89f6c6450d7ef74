"""A small noisy model made by hand, so that these tests depend on no noise model and no pass."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

FEATURES, CLASSES, SAMPLES = 6, 4, 90

# y = x (W + scale * eta * noise(trial)), where noise is the sine of large multiples of the trial number
_TEXT = """
<ir_version: 8, opset_import: ["": 17], metadata_props: ["author": "test"]>
classifier (float[{batch}, 6] x, int64 noise_trial = {{0}}, float noise_scale = {{1.0}})
=> (float[{batch}, 4] y, float[{batch}, 1] top)
<float eta = {{{eta}}}>
{{
    trial = Cast<to = 1>(noise_trial)
    one = Constant<value_float = 1.0>()
    number = Add(trial, one)
    angle = Mul(phase, number)
    noise = Sin(angle)
    std = Mul(noise_scale, eta)
    change = Mul(noise, std)
    noisy = Add(W, change)
    y = MatMul(x, noisy)
    top = ReduceMax<axes = [1]>(y)
}}
"""


def weights() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(FEATURES, CLASSES)).astype(np.float32)


def phases() -> np.ndarray:
    return np.random.default_rng(2).uniform(100, 1000, size=(FEATURES, CLASSES)).astype(np.float32)


NoisyModelFactory = Callable[..., onnx.ModelProto]


@pytest.fixture
def noisy_model() -> NoisyModelFactory:
    def make(batch: int | str = "N", eta: float = 0.5, seed: int = 0, **changes: object) -> onnx.ModelProto:
        model = onnx.parser.parse_model(_TEXT.format(batch=batch, eta=eta))
        for name, values in (("W", weights()), ("phase", phases())):
            model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
        fields = {
            "version": "0",
            "noise": {"model": "gaussian", "eta": eta, "relative_to": "range"},
            "seed": seed,
            "drawn": "run",
            "fresh": False,
            "exact": True,
            "trial_input": "noise_trial",
            "scale_input": "noise_scale",
            "source_sha256": "",
            "source_ir_version": 8,
            "source_opsets": {"": 17},
        }
        model.metadata_props.add(key="nmtool.provenance", value=json.dumps(fields | changes))
        return model

    return make


@pytest.fixture
def samples() -> dict[str, np.ndarray]:
    """Inputs, and the labels the clean model gives to most of them."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(SAMPLES, FEATURES)).astype(np.float32)
    labels = (x @ weights()).argmax(axis=1)
    labels[:9] = rng.integers(CLASSES, size=9)
    return {"x": x, "labels": labels}


@pytest.fixture
def data_file(tmp_path: Path, samples: dict[str, np.ndarray]) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, **samples)
    return path


@pytest.fixture
def model_file(tmp_path: Path, noisy_model: NoisyModelFactory) -> Path:
    path = tmp_path / "noisy.onnx"
    onnx.save(noisy_model(), path)
    return path
