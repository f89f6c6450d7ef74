"""Converted modules in the machinery that trains: compilers, autocast, several processes."""

import pytest

torch = pytest.importorskip("torch")

import onnx
from networks import build, export, sample
from parity import relative
from replicas import train
from torch._dynamo.testing import CompileCounterWithBackend

import nmtool

COMPILED = ["Cnn", "Vit", "Gpt", "Lstm"]
slow = pytest.mark.slow


def converted(name, opset=17, *, dynamo=False):
    return nmtool.to_torch(export(build(name), sample(name, 1), opset, dynamo=dynamo)).eval()


def compiled_agrees(name, module, backend):
    """One graph for every batch, with the outputs and the gradients of the module."""
    torch.compiler.reset()
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend=counter)
    for batch in (2, 5):
        gradients = []
        for called in (module, compiled):
            module.zero_grad()
            called(sample(name, batch)).square().sum().backward()
            gradients.append([parameter.grad.numpy().copy() for parameter in module.parameters()])
        assert relative(*reversed(gradients)) < 1e-4
    assert counter.frame_count == 1


@pytest.mark.parametrize("name", COMPILED)
def test_compiles_to_one_graph_for_every_batch(name):
    compiled_agrees(name, converted(name), "eager")


@slow
@pytest.mark.parametrize("opset", [18, 25])
@pytest.mark.parametrize("name", COMPILED)
def test_compiles_what_dynamo_has_exported(name, opset):
    pytest.importorskip("onnxscript")
    compiled_agrees(name, converted(name, opset, dynamo=True).train(name != "Cnn"), "aot_eager")


@slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.parametrize("name", ["Cnn", "Vit"])
def test_compiles_to_machine_code(name):
    compiled_agrees(name, converted(name), "inductor")


@pytest.mark.parametrize("name", ["Cnn", "Vit"])
def test_trains_under_autocast(name):
    module = converted(name).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    x, losses = sample(name, 8), []
    for _ in range(10):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = (module(x).float() - 1).square().mean()
        loss.backward()
        assert all(parameter.grad is not None for parameter in module.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_replicas_stay_equal(tmp_path):
    onnx.save(export(build("Cnn"), sample("Cnn", 1), 17, dynamo=False), tmp_path / "model.onnx")
    torch.multiprocessing.spawn(train, (2, "Cnn", tmp_path), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    before = dict(nmtool.to_torch(tmp_path / "model.onnx").named_parameters())
    assert first.keys() == second.keys() == before.keys()
    for path, parameter in first.items():
        assert torch.equal(parameter, second[path])
        assert not torch.equal(parameter, before[path])
