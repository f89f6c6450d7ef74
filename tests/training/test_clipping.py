"""Limits of weights: against numpy, and only where they belong."""

import numpy as np
import pytest

from build import model, weights
from nmtool.model import load
from nmtool.noise import noise_model
from nmtool.passes.selection import Selection

torch = pytest.importorskip("torch")
from nmtool.training.clipping import WeightLimits
from nmtool.training.student import Placement, Student

TWO = model(
    "g (float[N,6] x) => (float[N,3] y) { [a] h = MatMul(x, v)  [b] y = Gemm<transB=1>(h, w, c) }",
    v=weights(6, 5),
    w=weights(3, 5),
    c=9 * weights(3),
)


def student(**selection):
    placement = Placement(Selection(**selection))
    return Student(load(TWO), noise_model("gaussian", {"eta": 1.0}), placement, 0)


def arrays(module):
    parts = dict(module.graph.named_parameters())
    return {name: parts[path].detach().numpy().copy() for name, path in module.names.items() if path in parts}


@pytest.mark.parametrize(("per", "axes"), [("array", {"v": None, "w": None}), ("channel", {"v": 0, "w": 1})])
def test_noisy_arrays_are_clipped_at_k_deviations_of_the_original(per, axes):
    module = student()
    before = arrays(module)
    limits = WeightLimits(module, per)
    limits.apply(0)
    assert all(np.array_equal(each, before[name]) for name, each in arrays(module).items())
    for k in (1.5, 1.0):  # the second time the weights are clipped already, and the limit is still the original's
        limits.apply(k)
        for name, axis in axes.items():
            limit = k * before[name].std(axis=axis, keepdims=axis is not None)
            np.testing.assert_allclose(arrays(module)[name], np.clip(before[name], -limit, limit), rtol=1e-6)
    assert np.array_equal(arrays(module)["c"], before["c"])  # digital


def test_digital_and_frozen_arrays_are_left_alone():
    module = student(exclude=("a",))
    module.graph.get_parameter(module.names["w"]).requires_grad_(False)
    before = arrays(module)
    WeightLimits(module, "array").apply(0.1)
    assert all(np.array_equal(each, before[name]) for name, each in arrays(module).items())
