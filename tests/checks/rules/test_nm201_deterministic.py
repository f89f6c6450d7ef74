"""The same inputs give the same outputs."""

import numpy as np
import onnx_ir as ir
import pytest
from checking import errors, messages, outcome, warnings

import nmtool
from build import model, weights
from nmtool import backends
from nmtool.noise import Gaussian

RULE = "nm201_deterministic"
DENSE = model("g (float[N,8] x) => (float[N,4] y) { [dense] y = MatMul(x, w) }", w=weights(8, 4))


def test_a_clean_and_a_noisy_model_pass():
    assert "to the bit" in messages(outcome(RULE, DENSE))
    found = outcome(RULE, DENSE, noise=Gaussian(eta=0.1))
    assert found.status == "passed"
    assert "the noisy model at one trial gives the same outputs" in messages(found)
    assert outcome(RULE, ir.to_proto(nmtool.inject(DENSE, eta=0.1).model)).status == "passed"


@pytest.mark.parametrize(
    "line",
    [
        "y = RandomNormalLike(x)",
        "r = RandomUniform<shape = [4, 8]>() y = Add(x, r)",
        "y = Bernoulli(p)",
        "y = Dropout(x, p, t)",
    ],
)
def test_random_operators_are_named(line):
    text = f"g (float[4,8] x) => (float[4,8] y) {{ p = Sigmoid(x) {line} }}"
    if "Dropout" in line:
        text = text.replace("p = Sigmoid(x)", "p = Constant<value_float = 0.5>()")
    found = outcome(RULE, model(text, t=np.array(True)))
    (error,) = errors(found)
    assert "draws random numbers" in error.message
    assert error.fix


def test_dropout_of_an_exported_model_is_not_random():
    text = "g (float[4,8] x) => (float[4,8] y) { p = Constant<value_float = 0.5>() y = Dropout(x, p, t) }"
    assert outcome(RULE, model(text, t=np.array(False))).status == "passed"
    assert outcome(RULE, model("g (float[4,8] x) => (float[4,8] y) { y = Dropout(x) }")).status == "passed"


def test_noise_of_strength_0_does_nothing():
    found = outcome(RULE, ir.to_proto(nmtool.inject(DENSE, eta=0.0).model))
    assert "the noise does nothing" in errors(found)[0].message


def test_fresh_noise_is_meant_to_vary():
    found = outcome(RULE, ir.to_proto(nmtool.inject(DENSE, eta=0.1, fresh=True).model))
    assert found.status == "passed"


class Moody:
    """Gives something else every time."""

    size = 1.0

    def __init__(self, runner):
        self.runner, self.runs = runner, 0

    def __getattr__(self, name):
        return getattr(self.runner, name)

    def run(self, outputs, feeds):
        self.runs += 1
        factor = np.float32(1 + self.size * self.runs)
        return [result * factor for result in self.runner.run(outputs, feeds)]


@pytest.mark.parametrize(("size", "severity"), [(1.0, errors), (1e-6, warnings)])
def test_a_runtime_that_varies_is_found(size, severity, monkeypatch):
    load = backends.load
    monkeypatch.setattr(Moody, "size", size)
    monkeypatch.setattr(backends, "load", lambda *arguments, **options: Moody(load(*arguments, **options)))
    (finding,) = severity(outcome(RULE, DENSE))
    assert "in one session: 'y': max abs" in finding.message
