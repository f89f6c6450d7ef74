"""Networks of many kinds, as torch's two exporters write them, back in torch: same outputs, every weight trained."""

import onnx
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from networks import NETWORKS, NEWEST, build, export, sample
from parity import concatenated, measure, numbers, relative

import nmtool

BEFORE_ATTENTION = 13  # the last opset to which the exporter by tracing cannot write attention
FAST = {("Vit", 18), *((name, NEWEST) for name in ("Cnn", "Gpt", "Lstm", "UNetResize", "Norms"))}  # seconds each


def is_written(name, opset):
    return opset > BEFORE_ATTENTION or name not in ("Vit", "Gpt")


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize("name", NETWORKS)
def test_exported_by_tracing(name, opset):
    if not is_written(name, opset):
        pytest.skip("torch does not export attention to this opset")
    check(name, export(build(name), sample(name, 1), opset, dynamo=False))


@pytest.mark.parametrize(
    ("name", "opset"),
    [
        pytest.param(name, opset, marks=() if (name, opset) in FAST else pytest.mark.slow)
        for name in NETWORKS
        for opset in (18, 20, 23, NEWEST)
    ],
)
def test_exported_by_dynamo(name, opset):
    pytest.importorskip("onnxscript")
    check(name, export(build(name), sample(name, 1), opset, dynamo=True))


def check(name, proto):
    """Parity with ONNX Runtime, batches of any size though the file has 1, gradients for all weights."""
    net, samples = build(name), [[sample(name, 1, seed).numpy()] for seed in range(3)]
    figures = measure(proto, samples, concatenated, concatenated)
    assert figures.parity < 1e-5
    assert figures.batch < 1e-5
    assert figures.share == 1
    assert relative(numbers(nmtool.to_torch(proto).eval(), samples[0]), numbers(net, samples[0])) < 1e-5
    folded = sum(p.numel() for part in net.modules() if "BatchNorm" in type(part).__name__ for p in part.parameters())
    assert figures.weights >= sum(parameter.numel() for parameter in net.parameters()) - folded


@pytest.mark.parametrize("opset", [9, 17])
@pytest.mark.parametrize("name", ["Cnn", "MobileNet", "UNet"])
def test_batch_normalization_that_the_export_keeps(name, opset):
    keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    net = build(name)
    proto = export(net, sample(name, 2), opset, dynamo=False, **keep)
    assert "BatchNormalization" in {node.op_type for node in proto.graph.node}
    module = nmtool.to_torch(proto)
    x = sample(name, 4)
    for training in (False, True):
        net.train(training)
        for part in net.modules():
            if isinstance(part, torch.nn.Dropout):
                part.eval()  # the exporter has left it out
        torch.testing.assert_close(module.train(training)(x), net(x), rtol=1e-4, atol=1e-5)
    buffers = {key: value for key, value in net.named_buffers() if not key.endswith("num_batches_tracked")}
    for key, value in buffers.items():
        torch.testing.assert_close(module.get_buffer(module.meta["nmtool.names"][key]), value)


def test_a_dynamic_batch_stays_dynamic():
    pytest.importorskip("onnxscript")
    batch = {0: torch.export.Dim("batch", min=2)}
    proto = export(build("Gpt"), sample("Gpt", 2), NEWEST, dynamo=True, dynamic_shapes=(batch,))
    assert onnx.checker.check_model(proto) is None
    check("Gpt", proto)
