"""Distillation through onnxruntime-training: the same batches, noise and steps as in torch."""

import os
import signal

import numpy as np
import onnx
import pytest

import nmtool
from build import model, weights
from nmtool.engines import installation
from nmtool.errors import InterruptionError, ModelError, SetupError, UsageError

pytest.importorskip("torch")

SETTINGS = {"epochs": 2, "batch_size": 32, "optimizer": "adamw", "lr": 0.001}


@pytest.fixture(scope="module")
def train(digits):
    with np.load(digits / "digits.npz") as data:
        return {"image": data["image"][:160], "label": data["label"][:160]}


@pytest.fixture
def start(workspace, train):
    """distill of the digits with few samples; keyword arguments replace."""

    def run(output, model="digits.onnx", data=train, settings=SETTINGS, engine="ort", **options):
        options = {"eta": 0.08, "threads": 1, **options}
        return nmtool.distill(model, data, output, engine=engine, settings=settings, **options)

    return run


@pytest.fixture
def _installed():
    try:
        installation("ort-training")
    except SetupError as error:
        pytest.skip(f"{error.message}: {error.hint}")


def arrays(path):
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def assert_same_training(first, second, tolerance):
    """The weights differ by less than that part of what training has changed in each array."""
    source, a, b = arrays("digits.onnx"), arrays(first), arrays(second)
    for name in source:
        assert np.linalg.norm(b[name] - a[name]) < tolerance * np.linalg.norm(a[name] - source[name]), name


def test_without_the_engine_it_is_a_matter_of_setup(start, monkeypatch, tmp_path):
    monkeypatch.setenv("NMTOOL_ENGINES", str(tmp_path / "none"))
    with pytest.raises(SetupError, match="the engine ort-training is not installed") as raised:
        start("out.onnx")
    assert (raised.value.hint, raised.value.exit_code) == ("nmtool engine install ort-training", 4)
    assert not (tmp_path / "out.onnx").exists()


def test_settings_that_it_has_not_are_refused_before_anything_is_read(start):
    with pytest.raises(UsageError, match="the engine ort has sgd without momentum only"):
        start("out.onnx", data="no-such-file.npz", settings={})
    with pytest.raises(UsageError, match="engine must be torch or ort"):
        start("out.onnx", engine="tensorflow")


def compare(start, settings, **options):
    """Train with both engines, and compare weights and logs; Adam makes rounding visible where gradients are small."""
    for engine in ("torch", "ort"):
        start(f"{engine}.onnx", engine=engine, settings=SETTINGS | settings, validation=0.0, **options)
    assert_same_training("torch.onnx", "ort.onnx", 0.02)
    logs = [np.genfromtxt(f"{engine}.run/log.csv", delimiter=",", names=True) for engine in ("torch", "ort")]
    assert logs[0].dtype == logs[1].dtype
    for column in ("loss", "gradient_norm"):
        np.testing.assert_allclose(logs[1][column], logs[0][column], rtol=0.01)


@pytest.mark.usefixtures("_installed")
def test_it_trains_as_torch_does_under_noise(start):
    compare(start, {"epochs": 1})


@pytest.mark.slow
@pytest.mark.usefixtures("ort_engine")
@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"optimizer": "sgd", "momentum": 0.0, "lr": 0.003, "clip": 0.0}, {"eta": 0.0, "recipe": "noise"}),
        ({"optimizer": "sgd", "momentum": 0.0, "lr": 0.01, "gradient_clip": 0.5}, {"recipe": "noise"}),
        (
            {"alpha": 0.5, "label_smoothing": 0.1, "draws": 2, "antithetic": True, "accumulate": 2, "ema": 0.9},
            {"per_channel": True, "recipe": "robust"},
        ),
        ({"augment": ["flip"], "eta_schedule": "random"}, {"noise": "lognormal", "loss": ["logits=mse"]}),
        ({"gradient_clip": 0.0, "schedule": "constant"}, {"model": "half.onnx"}),
    ],
    ids=["sgd without noise", "sgd with clipped gradients", "robust", "lognormal", "half precision"],
)
def test_it_trains_as_torch_does_whatever_the_settings(start, settings, options):
    half = onnx.load("digits.onnx")
    for tensor in half.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for value in (*half.graph.input, *half.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    del half.graph.value_info[:]
    onnx.save(half, "half.onnx")
    compare(start, settings, **options)


@pytest.mark.slow
@pytest.mark.usefixtures("ort_engine")
def test_under_noise_it_is_as_good_as_torch(start):
    """The scores are of the same noise samples, so the means differ by what rounding makes of 12 steps."""
    torch, ort = (start(f"{e}.onnx", engine=e, settings=SETTINGS | {"epochs": 3}) for e in ("torch", "ort"))
    low, high = torch.interval(torch.after).low, torch.interval(torch.after).high
    assert low <= ort.after.mean <= high
    assert ort.after.mean > ort.before.mean


@pytest.mark.slow
@pytest.mark.usefixtures("ort_engine")
def test_an_interrupted_training_resumes_as_if_nothing_had_been(start, workspace):
    settings = SETTINGS | {"clip": 2.0, "ema": 0.5}
    start("whole.onnx", settings=settings)

    def interrupt(done, total, numbers):
        if done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(InterruptionError, match="interrupted after step 3 of 8"):
        start("parts.onnx", settings=settings, progress=interrupt)
    with pytest.raises(UsageError, match="with engine 'ort', now 'torch'"):
        start("parts.onnx", settings=settings, engine="torch", resume=True)
    start("parts.onnx", settings=settings, resume=True)
    assert (workspace / "parts.onnx").read_bytes() == (workspace / "whole.onnx").read_bytes()
    assert (workspace / "parts.run/log.csv").read_bytes() == (workspace / "whole.run/log.csv").read_bytes()


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("text", "opset", "message"),
    [
        ("h = MatMul(x, w)  y = HardSwish(h)", 18, "does not train through HardSwish: node 'y'"),
        ("h = MatMul(x, w)  y = RMSNormalization(h, s)", 23, "RMSNormalization is another operator at opset 23"),
    ],
)
def test_what_it_cannot_train_is_named(workspace, text, opset, message):
    named = {"w": weights(5, 4), "s": weights(4)}
    used = {name: array for name, array in named.items() if f"{name})" in text}
    proto = model(f"g (float[N,5] x) => (float[N,4] y) {{ {text} }}", opset=opset, **used)
    with pytest.raises(ModelError, match=message):
        nmtool.distill(proto, {"x": weights(60, 5)}, "out.onnx", engine="ort", settings=SETTINGS)
    assert not (workspace / "out.onnx").exists()
