"""Running statistics under noise: equal to torch's own cumulative average, and nothing else is touched."""

import copy

import numpy as np
import pytest

from build import model, weights
from nmtool.errors import UsageError
from nmtool.model import load
from nmtool.noise.gaussian import Gaussian

torch = pytest.importorskip("torch")
from nmtool.training.arrays import state
from nmtool.training.batchnorm import recalibrate, running_statistics
from nmtool.training.student import Placement, Student

C = 6
BATCHES = [(torch.tensor(weights(n, 5, 4, 4, seed=n)),) for n in (8, 8, 3)]
ARRAYS = {
    name: array
    for k in (1, 2)
    for name, array in {
        f"w{k}": weights(C, 5 if k == 1 else C, 1, 1),
        f"scale{k}": weights(C, seed=10 + k),
        f"bias{k}": weights(C, seed=20 + k),
        f"mean{k}": weights(C, seed=30 + k),
        f"var{k}": np.abs(weights(C, seed=40 + k)) + 1,
    }.items()
}
TEXT = """g (float[N,5,4,4] x) => (float[N,6,4,4] y) {
  a = Conv(x, w1)  [one] b = BatchNormalization(a, scale1, bias1, mean1, var1)
  c = Relu(b)  d = Dropout(c)
  e = Conv(d, w2)  [two] y = BatchNormalization(e, scale2, bias2, mean2, var2) }"""


def student(text=TEXT, arrays=ARRAYS):
    return Student(load(model(text, **arrays)), Gaussian(eta=1.0), Placement(), seed=3)


def statistics(module):
    arrays = state(module.graph, module.names)
    return {name: arrays[name].clone() for name in arrays if name.startswith(("mean", "var"))}


def in_torch():
    parts = []
    for k in (1, 2):
        conv, norm = torch.nn.Conv2d(5 if k == 1 else C, C, 1, bias=False), torch.nn.BatchNorm2d(C)
        conv.weight.data = torch.tensor(ARRAYS[f"w{k}"])
        norm.weight.data, norm.bias.data = torch.tensor(ARRAYS[f"scale{k}"]), torch.tensor(ARRAYS[f"bias{k}"])
        parts += [conv, norm, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


def test_without_noise_it_is_the_cumulative_average_of_torch():
    module, expected = student(), in_torch()
    torch.optim.swa_utils.update_bn([x for (x,) in BATCHES], expected)
    recalibrate(module, BATCHES, range(3), 0.0)
    found = statistics(module)
    for k, norm in ((1, expected[1]), (2, expected[4])):
        torch.testing.assert_close(found[f"mean{k}"], norm.running_mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[f"var{k}"], norm.running_var, rtol=1e-4, atol=1e-5)


def test_every_batch_has_its_own_noise_and_the_same_weight():
    module, each = student(), []
    for batch, trial in zip(BATCHES, (4, 5, 6), strict=True):
        recalibrate(module, [batch], [trial], 0.1)
        each.append(statistics(module))
    recalibrate(module, iter(BATCHES), iter((4, 5, 6)), 0.1)
    for name, values in statistics(module).items():
        torch.testing.assert_close(values, sum(one[name] for one in each) / 3, rtol=1e-4, atol=1e-5)
    recalibrate(module, BATCHES, (7, 8, 9), 0.1)
    assert not torch.equal(statistics(module)["mean1"], sum(one["mean1"] for one in each) / 3)


def test_only_statistics_change():
    module = student().train()
    before, momenta = copy.deepcopy(module.state_dict()), [each.module.momentum for each in running_statistics(module)]
    recalibrate(module, BATCHES, range(3), 0.1)
    changed = {name for name, values in module.state_dict().items() if not torch.equal(values, before[name])}
    assert changed == {f"graph.{module.names[name]}" for name in ("mean1", "var1", "mean2", "var2")}
    assert not any(each.training for each in module.modules())
    assert [each.module.momentum for each in running_statistics(module)] == momenta


def test_merged_statistics_stay_unless_they_are_chosen():
    module = student(TEXT.replace("mean2, var2", "mean1, var2"))
    names = [(each.mean, each.var, each.merged) for each in running_statistics(module)]
    assert names == [("mean1@one", "var1", True), ("mean1@two", "var2", True)]
    before = statistics(module)
    recalibrate(module, BATCHES, range(3), 0.1)
    assert all(torch.equal(values, before[name]) for name, values in statistics(module).items())
    recalibrate(module, BATCHES, range(3), 0.1, running_statistics(module)[1:])
    changed = {name for name, values in statistics(module).items() if not torch.equal(values, before[name])}
    assert changed == {"mean1@two", "var2"}


def test_statistics_in_a_branch():
    text = """g (float[N,5,4,4] x, bool flag) => (float[N,6,4,4] y) {
      a = Conv(x, w1)
      y = If (flag) <then_branch = t () => (float[N,6,4,4] b) <float[6] m = {0,0,0,0,0,0}, float[6] v = {1,1,1,1,1,1}> {
        [one] b = BatchNormalization(a, scale1, bias1, m, v) },
        else_branch = e () => (float[N,6,4,4] c) { [two] c = BatchNormalization(a, scale1, bias1, mean1, var1) }> }"""
    module = student(text, {name: ARRAYS[name] for name in ("w1", "scale1", "bias1", "mean1", "var1")})
    assert [(each.mean, each.var) for each in running_statistics(module)] == [("y/then_branch/m", "y/then_branch/v")]
    recalibrate(module, [(*batch, torch.tensor(True)) for batch in BATCHES], range(3), 0.1)
    assert (state(module.graph, module.names)["y/then_branch/m"] != 0).all()


def test_a_batch_of_one_value_is_refused():
    module = student()
    momentum = running_statistics(module)[0].module.momentum
    with pytest.raises(UsageError, match="a batch has no statistics") as error:
        recalibrate(module, [(torch.zeros(1, 5, 1, 1),)], [0], 0.1)
    assert "more samples" in error.value.hint
    assert running_statistics(module)[0].module.momentum == momentum
