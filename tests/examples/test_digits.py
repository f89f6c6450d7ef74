"""The embedded example: the committed model is as good as its README says, and its script makes such a model."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from threadpoolctl import threadpool_limits

FOLDER = Path(__file__).parents[2] / "examples/digits"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in ("data", "make_model"):
        sys.modules.pop(name, None)


def test_split_is_the_stated_one(load):
    train, test = load("data").split()
    assert train.image.shape == (1297, 1, 8, 8)
    assert test.image.shape == (500, 1, 8, 8)
    assert test.image.dtype == np.float32
    assert (test.image.min(), test.image.max()) == (0, 1)
    assert np.bincount(test.label).min() >= 48


def test_committed_model_has_the_stated_accuracy(load):
    model = onnx.load(FOLDER / "digits.onnx")
    onnx.checker.check_model(model, full_check=True)
    _, test = load("data").split()
    stated = re.search(r"\*\*([\d.]+) %\*\* \((\d+)\)", (FOLDER / "README.md").read_text())
    measured = load("make_model").accuracy(model, *test)
    assert measured == pytest.approx(float(stated[1]) / 100)
    assert measured == int(stated[2]) / len(test.label)
    assert measured > 0.97


def test_committed_model_is_small_and_named(load):
    path = FOLDER / "digits.onnx"
    model = onnx.load(path)
    assert path.stat().st_size < 300_000
    assert all(node.name for node in model.graph.node)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    weights = sum(np.prod(tensor.dims) for tensor in model.graph.initializer)
    assert f"({weights:,} parameters" in (FOLDER / "README.md").read_text()


def test_gradients_are_those_of_the_loss(load):
    script = load("make_model")
    rng = np.random.default_rng(0)
    parameters = {name: value.astype(np.float64) for name, value in script.initial(rng).items()}
    images, labels = rng.random((3, 1, 8, 8)), np.array([1, 5, 9])

    def loss():
        logits = forward(script, parameters, images)
        return -np.mean((logits - np.log(np.exp(logits).sum(1, keepdims=True)))[range(3), labels])

    for name, gradient in script.gradients(parameters, images, labels).items():
        at = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        parameters[name][at] += 1e-6
        above = loss()
        parameters[name][at] -= 2e-6
        slope = (above - loss()) / 2e-6
        parameters[name][at] += 1e-6
        assert gradient[at] == pytest.approx(slope, rel=1e-4), name


def forward(script, p, x):
    """The network by the reference evaluator's arithmetic in float64: convolve, pool, multiply."""
    a = np.maximum(script.convolve(x, p["conv1.weight"], p["conv1.bias"]), 0)
    a = np.maximum(script.convolve(a, p["conv2.weight"], p["conv2.bias"]), 0)
    a = a.reshape(len(x), 32, 4, 2, 4, 2).max((3, 5)).reshape(len(x), -1)
    a = np.maximum(a @ p["dense1.weight"].T + p["dense1.bias"], 0)
    return a @ p["dense2.weight"].T + p["dense2.bias"]


def test_script_makes_a_model_that_learns(load, monkeypatch):
    script = load("make_model")
    monkeypatch.setattr(script, "EPOCHS", 2)
    train, test = load("data").split()
    with threadpool_limits(1):  # two tests at a time, each with threads for all cores, wait for each other
        assert script.accuracy(script.to_onnx(script.train(*train)), *test) > 0.9
