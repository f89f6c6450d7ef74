"""The engine itself: its gradients are torch's, through every operator that is said to be handled."""

import numpy as np
import pytest

from build import model, weights
from nmtool.errors import ModelError
from nmtool.model import load
from nmtool.noise import noise_model
from nmtool.recipes import Recipe

torch = pytest.importorskip("torch")
from nmtool.training.batches import MicroBatch
from nmtool.training.learner import TorchLearner
from nmtool.training.objective import resolve
from nmtool.training.ort_engine.operators import GRADIENTS
from nmtool.training.ort_engine.start import require_same_gradient, start
from nmtool.training.process import Process
from nmtool.training.student import Placement, Student

NOISE = noise_model("gaussian", {"eta": 1.0})

ELEMENTWISE = model(
    "g (float[N,5] x) => (float[N,4] y) { h = MatMul(x, w)  abs = Abs(h)  pos = Add(abs, c)  a = Sqrt(pos)"
    "  b = Log(pos)  d = Erf(h)  e = Tanh(h)  f = Sigmoid(h)  i = Neg(h)  j = Sin(h)  k = Cos(h)  l = Exp(e)"
    "  m = Reciprocal(pos)  n = Pow(e, two)  o = Div(h, pos)  p = Mul(h, e)  q = Max(h, c)  r = Min(h, c)"
    "  s = Clip(h, low)  t = LeakyRelu(h)  v = Relu(h)  z = Identity(h)  aa = Cast<to = 1>(h)  bb = Sub(h, c)"
    "  all = Concat<axis = 1>(a, b, d, e, f, i, j, k, l, m, n, o, p, q, r, s, t, v, z, aa, bb)"
    "  y = Gemm(all, u, bias) }",
    w=weights(5, 6),
    c=np.abs(weights(6)) + 0.5,
    two=np.float32(2),
    low=np.float32(-0.5),
    u=weights(126, 4),
    bias=weights(4),
)
LAYOUT = model(
    "g (float[N,5] x) => (float[N,4] y) { h = MatMul(x, w)  a = Softmax(h)  b = LogSoftmax(h)  c = ReduceMean(h, one)"
    "  d = ReduceSum(h, one)  e = Add(a, c)  f = Mul(b, d)  i = Unsqueeze(h, one)  j = Tile(i, twice)  k = Flatten(j)"
    "  l = Slice(h, nought, three, one)  m, n = Split<axis = 1, num_outputs = 2>(h)  o = Gather<axis = 1>(h, chosen)"
    "  p = Pad(h, margins)  q = Squeeze(i, one)  r = Expand(i, shape)  s = Transpose<perm = [0, 2, 1]>(r)"
    "  t = Reshape(s, flat)  all = Concat<axis = 1>(e, f, k, l, m, n, o, p, q, t)  y = Gemm(all, u) }",
    w=weights(5, 6),
    one=np.array([1]),
    nought=np.array([0]),
    three=np.array([3]),
    twice=np.array([1, 2, 1]),
    chosen=np.array([5, 1, 1]),
    margins=np.array([0, 1, 0, 1]),
    shape=np.array([1, 3, 6]),
    flat=np.array([0, -1]),
    u=weights(68, 4),
)
IMAGES = model(
    "g (float[N,3,12,12] x) => (float[N,4] y) { a = Conv<pads = [1, 1, 1, 1]>(x, k, b)  c = Relu(a)"
    "  d = MaxPool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(c)  e = Conv<group = 3>(d, m)"
    "  f = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(e)"
    "  h = Conv<dilations = [2, 2], pads = [2, 2, 2, 2]>(f, n)"
    "  i = GlobalAveragePool(h)  j = Sigmoid(i)  l = Mul(h, j)  o = GlobalAveragePool(l)  p = Flatten(o)"
    "  y = Gemm(p, u) }",
    k=weights(6, 3, 3, 3),
    b=weights(6),
    m=weights(6, 2, 3, 3),
    n=weights(6, 6, 3, 3),
    u=weights(6, 4),
)
GELU = model(
    "g (float[N,5] x) => (float[N,4] y) { h = MatMul(x, w)  r = Gelu(h)  y = Gemm(r, u) }",
    opset=20,
    w=weights(5, 6),
    u=weights(6, 4),
)
NETWORKS = {"elementwise": ELEMENTWISE, "layout": LAYOUT, "images": IMAGES, "gelu": GELU}


def compare(proto, x):
    """Raise ModelError where the engine's gradient is not torch's, under noise."""
    recipe = Recipe(momentum=0.0, temperature=2.0)
    objective = resolve(load(proto), [], recipe)
    student = Student(load(proto), NOISE, Placement(), 5)
    reference = TorchLearner(student, objective.loss, {"y": 0}, recipe, Process(0, 1, torch.device("cpu")), seed=0)
    learner = start(load(proto), student, NOISE, Placement(), objective, recipe, seed=5, threads=1)
    batch = MicroBatch(np.arange(len(x)), {"x": torch.tensor(x)}, None)
    targets = {"y": torch.tensor(weights(len(x), 4, seed=3))}
    require_same_gradient(learner, reference, student.train(), batch, targets)


@pytest.mark.slow
@pytest.mark.usefixtures("ort_engine")
@pytest.mark.parametrize("name", NETWORKS)
def test_its_gradients_are_those_of_torch(name):
    compare(NETWORKS[name], weights(8, 3, 12, 12) if name == "images" else weights(8, 5))


def test_every_operator_of_the_list_is_compared():
    assert {node.op_type for proto in NETWORKS.values() for node in proto.graph.node} == GRADIENTS


@pytest.mark.slow
@pytest.mark.usefixtures("ort_engine")
def test_a_wrong_gradient_is_noticed(monkeypatch):
    """The engine's gradient of a Where that broadcasts is wrong, so the operator is not in the list."""
    monkeypatch.setattr("nmtool.training.ort_engine.operators.GRADIENTS", GRADIENTS | {"Where"})
    text = "g (float[N,5] x) => (float[N,4] y) { h = MatMul(x, w)  r = Where(mask, h, c)  y = MatMul(r, u) }"
    proto = model(text, w=weights(5, 6), c=weights(6), mask=np.array([True, False] * 3), u=weights(6, 4))
    with pytest.raises(ModelError, match="does not compute what torch does: the gradient of 'c' differs"):
        compare(proto, weights(6, 5))
