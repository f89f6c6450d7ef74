"""The graph that the engine trains computes the loss of the noisy student, with its noise."""

import numpy as np
import onnx
import pytest
from running import run_ort

from build import constant, model, weights
from nmtool.errors import ModelError
from nmtool.model import load
from nmtool.noise import noise_model
from nmtool.recipes import Recipe

torch = pytest.importorskip("torch")
from nmtool.training.arrays import to_numpy
from nmtool.training.objective import resolve
from nmtool.training.ort_engine.graph import SHARE, training_graph
from nmtool.training.sizes import size
from nmtool.training.student import Placement, Student

NETWORK = (
    "g (float[2,3,6,6] x) => (float[2,4] y) { h = Conv(x, k)  r = Relu(h)  p = MaxPool<kernel_shape=[2,2]>(r)"
    "  f = Flatten(p)  y = Gemm(f, u, b) }"
)
ARRAYS = {"k": weights(5, 3, 3, 3), "u": weights(45, 4), "b": weights(4)}
SEED = 77


@pytest.mark.parametrize(
    ("noise", "placement", "opset", "mirrored"),
    [
        ("gaussian", Placement(), 18, False),
        ("gaussian", Placement(), 13, False),
        ("gaussian", Placement(), 22, True),
        ("gaussian", Placement(per_channel=True), 18, False),
        ("lognormal", Placement(), 18, True),
    ],
)
def test_its_loss_is_that_of_the_student_with_the_same_noise(noise, placement, opset, mirrored):
    proto, unit = model(NETWORK, opset=opset, **ARRAYS), noise_model(noise, {"eta": 1.0})
    objective = resolve(load(proto), [], Recipe(temperature=2.0))
    x, teacher = weights(7, 3, 6, 6), weights(7, 4, seed=3)
    student = Student(load(proto), unit, placement, SEED)
    student.mirror(mirrored)
    (logits,) = student(torch.tensor(x), torch.tensor(5), torch.tensor(0.2))
    expected = objective.loss({"y": logits}, {"y": torch.tensor(teacher)}, {}) * 0.25
    graph = training_graph(load(proto), unit, placement, SEED, objective, {"k", "u", "b"})
    (target,) = graph.targets
    feeds = {"x": x, target: teacher, SHARE: np.array(0.25, np.float32)}
    feeds |= {graph.trial: np.array(5), graph.scale: np.array(0.2, np.float32)}
    for name, each in graph.sizes.items():
        stored = torch.tensor(ARRAYS[each.array])
        found = to_numpy(size(stored, each.parameter.value, each.parameter.unit, each.channels.axis))
        feeds[name] = np.asarray(-found if mirrored and each.is_spread else found)
    assert set(feeds) == set(graph.inputs)
    onnx.checker.check_model(graph.proto)
    assert float(run_ort(graph.proto, feeds)[0]) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert {each.name for each in graph.proto.graph.initializer} >= {"k", "u", "b"}
    assert (graph.proto.opset_import[0].version <= 21, graph.proto.functions) == (True, [])


def build(proto, trained):
    objective = resolve(load(proto), [], Recipe())
    return training_graph(load(proto), noise_model("gaussian", {"eta": 1.0}), Placement(), SEED, objective, trained)


def test_constants_that_are_trained_become_initializers():
    text = f"g (float[N,3] x) => (float[N,2] y) {{ w = {constant(weights(3, 2))}  y = MatMul(x, w) }}"
    graph = build(model(text), {"w"})
    assert [each.name for each in graph.proto.graph.initializer] == ["w"]
    assert list(graph.sizes) == ["w::std"]


def test_an_operator_without_a_gradient_is_named():
    proto = model("g (float[N,3] x) => (float[N,2] y) { h = MatMul(x, w)  y = HardSwish(h) }", w=weights(3, 2))
    with pytest.raises(ModelError, match=r"does not train through HardSwish: node 'y'"):
        build(proto, {"w"})


def test_operators_aside_of_the_gradient_do_not_matter():
    text = "g (float[N,3] x) => (float[N,2] y) { r = Round(x)  h = MatMul(r, w)  s = Shape(h)  y = Reshape(h, s) }"
    assert build(model(text, w=weights(3, 2)), {"w"}).sizes
