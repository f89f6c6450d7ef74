"""The student is the injected model: the same outputs as ONNX Runtime gives at the same seed, trial and scale."""

import numpy as np
import pytest
from normed import with_batch_norm
from running import run_ort
from zoo import ZOO

from build import model, weights
from nmtool import provenance
from nmtool.errors import ModelError, UsageError
from nmtool.model import load
from nmtool.noise import NOISE_MODELS, noise_model
from nmtool.passes.selection import Selection
from nmtool.probe import random_inputs
from nmtool.verbs.inject import inject

torch = pytest.importorskip("torch")
from nmtool.training.clipping import WeightLimits
from nmtool.training.student import Placement, Student

SEED, ETA = 7, 0.05


def student(source, name="gaussian", **placement):
    return Student(load(source), noise_model(name, {"eta": 1.0}), Placement(**placement), SEED).eval()


def outputs(module, feeds, trial=0, scale=ETA):
    inputs = [torch.tensor(array) for array in feeds]
    with torch.no_grad():
        return [y.numpy() for y in module(*inputs, torch.tensor(trial), torch.tensor(scale))]


@pytest.mark.parametrize("name", NOISE_MODELS)
@pytest.mark.parametrize("entry", [name for name, entry in ZOO.items() if entry.noisy])
def test_equal_to_the_injected_model(entry, name):
    proto, options = ZOO[entry].proto, ZOO[entry].options
    if (options.get("dynamic") and name != "gaussian") or options.get("fresh"):
        pytest.skip("not a noise that this entry is for")
    feeds = random_inputs(load(proto))
    noisy = inject(proto, **{"noise": name, "eta": 1.0, "seed": SEED, **options}).model
    record = provenance.read(noisy)
    inputs = {record.trial_input: np.array(3), record.scale_input: np.array(ETA, np.float32)}
    try:
        module = student(proto, name, **{"per_channel": False, **options})
    except ModelError as error:
        pytest.skip(error.message)
    expected = run_ort(noisy, {**feeds, **inputs}, library=True)
    for have, want in zip(outputs(module, feeds.values(), 3), expected, strict=True):
        step = 2e-3 if want.dtype == np.float16 else 1e-5
        np.testing.assert_allclose(have, want, rtol=10 * step, atol=step * max(np.abs(want).max(initial=0), 1e-3))


CONV = model(
    "g (float[N,3,8,8] x) => (float[N,4] y) { [c] h = Conv(x, v)  r = Relu(h)  f = Flatten(r)  y = MatMul(f, w) }",
    v=weights(5, 3, 3, 3),
    w=weights(180, 4),
)
GEMM = model("g (float[N,5] x) => (float[N,3] y) { y = Gemm<transB=1>(x, w, b) }", w=weights(3, 5), b=weights(3))


def test_the_noise_grows_with_the_weights():
    module, x = student(GEMM), weights(4, 5)
    (clean,), (noisy,) = outputs(module, [x], scale=0.0), outputs(module, [x])
    with torch.no_grad():
        module.graph.get_parameter(module.names["w"]).mul_(3)
    (larger_clean,), (larger,) = outputs(module, [x], scale=0.0), outputs(module, [x])
    np.testing.assert_allclose(larger - larger_clean, 3 * (noisy - clean), rtol=1e-4, atol=1e-5)


def test_no_gradient_flows_through_the_size_of_the_noise():
    module, x = student(GEMM), torch.tensor(weights(4, 5))
    gradients = []
    for scale in (0.0, 1.0):
        (y,) = module(x, torch.tensor(1), torch.tensor(scale))
        module.zero_grad()
        y.sum().backward()
        gradients.append(module.graph.get_parameter(module.names["w"]).grad.clone())
    assert torch.equal(*gradients)  # of a linear layer under additive noise: the inputs, whatever the noise


def test_a_mirrored_student_has_the_opposite_noise():
    module, x = student(GEMM), weights(4, 5)
    (clean,), (noisy,) = outputs(module, [x], scale=0.0), outputs(module, [x])
    module.mirror(True)
    np.testing.assert_allclose(outputs(module, [x])[0] - clean, clean - noisy, rtol=1e-4, atol=1e-5)
    module.mirror(False)
    assert np.array_equal(outputs(module, [x])[0], noisy)


@pytest.mark.parametrize("per", ["array", "channel"])
@pytest.mark.parametrize("name", NOISE_MODELS)
def test_a_step_stays_on_the_device_of_the_student(name, per):
    """The device "meta" has no values, but complains of tensors of other devices as a GPU does."""
    module = student(with_batch_norm(CONV, {"x": weights(2, 3, 8, 8)}), name).to("meta").train()
    feed, trial = torch.empty(2, 3, 8, 8, device="meta"), torch.empty((), dtype=torch.int64, device="meta")
    limits = WeightLimits(module, per)
    (y,) = module(feed, trial, torch.empty((), device="meta"))
    y.square().sum().backward()
    limits.apply(2.0)
    assert {str(each.grad.device) for each in module.parameters()} == {"meta"}


def test_only_selected_nodes_are_noisy():
    two = model(
        "g (float[N,5] x) => (float[N,5] y) { [a] h = MatMul(x, v)  [b] y = MatMul(h, w) }",
        v=weights(5, 5, seed=1),
        w=weights(5, 5, seed=2),
    )
    report = student(two, selection=Selection(exclude=("a",))).report
    assert {node.name: node.status for node in report.nodes} == {"a": "digital", "b": "noisy"}
    with pytest.raises(UsageError, match="no analog node matches: c"):
        student(two, selection=Selection(include=("c",)))


def test_models_that_cannot_be_trained_under_noise_are_refused():
    with pytest.raises(ModelError, match="no node has analog weights"):
        student(model("g (float[N,5] x) => (float[N,5] y) { y = Relu(x) }"))
    with pytest.raises(ModelError, match="noisy already"):
        student(inject(GEMM).model)
