"""Whole models: parity with ONNX Runtime, batches, gradients."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from parity import call

import nmtool
from nmtool.errors import ModelError
from nmtool.interpreter import taps

MODELS = Path(__file__).parents[2].parent / "shared/models"
SHAPES = {  # model: sizes of its inputs, where they are dynamic
    "ppocr-cls-paddle-op10": [[1, 3, 48, 192]],
    "yunet-n-dynamic": [[1, 3, 64, 96]],
    "dnsmos-sig-bak-ovr": [[1, 144160]],
    "magika-fast-v2_1": [[1, 1024]],
    "silero-vad-16k-op15": [[1, 512], [2, 1, 128], []],
}
REFUSED = {"sklearn-randomforest": "TreeEnsembleClassifier"}
SAMPLED = {"mlagents-hallway-lstm"}  # draws its outputs: converts and runs, but there is nothing to compare
BATCH_AXES = {("silero-vad-16k-op15", "state"): 1, ("silero-vad-16k-op15", "stateN"): 1}
FIXED_BATCH = {"dtln-model1-lstm": "its recurrent states are inputs without a batch axis"}

COMPILED = ["magika-fast-v2_1"]  # fast enough; tf2onnx has shapes in int32
COMPILED_SLOWLY = ["resnet20-cifar10", "multihead-attention", "dtln-model1-lstm", "mnist-tf2onnx"]

names = sorted(path.stem for path in MODELS.glob("*.onnx"))
convertible = [name for name in names if name not in {*REFUSED, *SAMPLED}]
if not names:
    pytest.skip("no shared models", allow_module_level=True)


def session(model):
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def reference(name):
    return session(MODELS / f"{name}.onnx")


def random_inputs(name, session, seed):
    """One sample for every input."""
    rng = np.random.default_rng(seed)
    shapes = SHAPES.get(
        name, [[size if isinstance(size, int) else 1 for size in port.shape] for port in session.get_inputs()]
    )
    arrays = []
    for port, shape in zip(session.get_inputs(), shapes, strict=True):
        if port.type == "tensor(int64)":
            arrays.append(np.full(shape, 16000, np.int64))
        elif port.type == "tensor(int32)":
            arrays.append(rng.integers(0, 250, shape).astype(np.int32))
        else:
            arrays.append(rng.random(shape, dtype=np.float32))
    return arrays


def joined(name, ports, samples):
    """Samples as one batch, along each port's batch axis."""
    columns = zip(ports, zip(*samples, strict=True), strict=True)
    return [
        np.concatenate(arrays, BATCH_AXES.get((name, port.name), 0)) if arrays[0].ndim else arrays[0]
        for port, arrays in columns
    ]


def close(got, expected, tolerance=1e-4):
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max() + 1e-6


@pytest.mark.parametrize("name", convertible)
def test_parity_with_onnxruntime(name):
    session = reference(name)
    module = nmtool.to_torch(MODELS / f"{name}.onnx").eval()
    inputs = random_inputs(name, session, 0)
    expected = session.run(None, {port.name: array for port, array in zip(session.get_inputs(), inputs, strict=True)})
    with torch.no_grad():
        for got, wanted in zip(call(module, inputs), expected, strict=True):
            close(got.numpy(), wanted)


@pytest.mark.parametrize("name", [name for name in convertible if name not in FIXED_BATCH])
def test_batch_of_three_is_three_samples(name):
    session = reference(name)
    module = nmtool.to_torch(MODELS / f"{name}.onnx").eval()
    samples = [random_inputs(name, session, seed) for seed in range(3)]
    with torch.no_grad():
        batch = call(module, joined(name, session.get_inputs(), samples))
        single = [[value.numpy() for value in call(module, sample)] for sample in samples]
    for got, expected in zip(batch, joined(name, session.get_outputs(), single), strict=True):
        close(got.numpy(), expected)


@pytest.mark.parametrize("name", convertible)
def test_gradient_reaches_every_trained_array(name):
    module = nmtool.to_torch(MODELS / f"{name}.onnx").eval()
    results = call(module, random_inputs(name, reference(name), 0))
    sum(result.sum() for result in results if result.requires_grad).backward()
    assert [path for path, parameter in module.named_parameters() if parameter.grad is None] == []
    assert taps(module)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused_with_the_names_of_nodes(name):
    with pytest.raises(ModelError, match=REFUSED[name]):
        nmtool.to_torch(MODELS / f"{name}.onnx")


@pytest.mark.parametrize("name", [*COMPILED, *(pytest.param(name, marks=pytest.mark.slow) for name in COMPILED_SLOWLY)])
def test_compiles_to_one_graph(name):
    module = nmtool.to_torch(MODELS / f"{name}.onnx").eval()
    inputs = random_inputs(name, reference(name), 0)
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend="aot_eager")
    for got, expected in zip(call(compiled, inputs), call(module, inputs), strict=True):
        close(got.detach().numpy(), expected.detach().numpy())


@pytest.mark.parametrize("name", [name for name in names if name in SAMPLED])
def test_models_that_draw_random_values_run(name):
    module = nmtool.to_torch(MODELS / f"{name}.onnx").eval()
    assert call(module, random_inputs(name, reference(name), 0))
    assert taps(module)


@pytest.mark.parametrize("name", [name for name in ("resnet20-cifar10", "silero-vad-16k-op15") if name in names])
def test_trains_under_autocast(name):
    module = nmtool.to_torch(MODELS / f"{name}.onnx").train()
    session = reference(name)
    inputs = joined(name, session.get_inputs(), [random_inputs(name, session, seed) for seed in range(2)])
    with torch.autocast("cpu", torch.bfloat16):
        results = call(module, inputs)
        sum(result.float().square().mean() for result in results if result.requires_grad).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
