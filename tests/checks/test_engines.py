"""Which backends take part, and what decides who is right."""

import numpy as np
import pytest

from build import MICROSOFT, model, weights
from nmtool import backends
from nmtool.checks import engines
from nmtool.checks.effort import Effort, effort
from nmtool.checks.finding import Severity
from nmtool.checks.subject import Request, Subject
from nmtool.errors import ModelError
from nmtool.model import load
from nmtool.noise import Gaussian

DENSE = model("g (float[N,8] x) => (float[N,4] y) { y = MatMul(x, w) }", w=weights(8, 4))


ABSENT = """
from nmtool.errors import SetupError


def version():
    raise SetupError("it is not installed", hint="pip install it")
"""


def test_those_that_are_installed_take_part(monkeypatch, tmp_path):
    (tmp_path / "backend_that_is_absent.py").write_text(ABSENT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(backends.BACKENDS, "absent", "backend_that_is_absent")
    subject = Subject(Request(DENSE))
    assert {"onnxruntime", "reference"} <= set(engines.present(subject))
    assert "absent" not in engines.present(subject)
    (finding,) = (each for each in engines.absent(subject) if each.facts["backend"] == "absent")
    assert (finding.severity, finding.fix) == (Severity.NOT_CHECKED, "pip install it")
    assert finding.message == "absent: it is not installed"
    assert engines.present(Subject(Request(DENSE, backends=["reference"]))) == ["reference"]


def test_the_oracle_is_the_reference_evaluator():
    subject = Subject(Request(DENSE))
    found = engines.oracle(subject, "clean")
    assert found.name.startswith("onnx reference evaluator")
    assert found.reason == ""
    np.testing.assert_allclose(found.expected["y"], subject.feeds["x"] @ weights(8, 4), rtol=1e-5)


def test_the_oracle_of_what_it_does_not_know_is_onnxruntime_without_optimizations():
    gelu = model("g (float[N,8] x) => (float[N,8] y) { y = com.microsoft.Gelu(x) }", imports=(MICROSOFT,))
    found = engines.oracle(Subject(Request(gelu)), "clean")
    assert found.name.endswith("without optimizations")
    assert "Gelu" in found.reason
    assert "\n" not in found.reason


def test_the_oracle_of_large_models_is_too(monkeypatch):
    monkeypatch.setattr(engines, "_MOST_MACS", 100)
    assert "1.3e+02 multiply-accumulates" in engines.oracle(Subject(Request(DENSE)), "clean").reason
    monkeypatch.setattr(engines, "_MOST_MACS", 1000)
    monkeypatch.setattr(engines, "_MOST_DRAWS", 10)
    noisy = Subject(Request(DENSE, noise=Gaussian(eta=0.1)))
    assert engines.oracle(noisy, "clean").reason == ""
    assert "weights" in engines.oracle(noisy, "noisy").reason


def test_noise_is_needed_where_it_is_asked_for():
    with pytest.raises(ModelError, match="no noise"):
        engines.oracle(Subject(Request(DENSE)), "noisy")


def test_effort_counts_the_batch_that_is_fed():
    cnn = load(
        model(
            """g (float[N,3,8,8] x) => (float[N,8,3,3] y) {
              a = Conv(x, k)
              y = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(a) }""",
            k=weights(8, 3, 3, 3),
        )
    )
    assert effort(cnn, {"x": (5, 3, 8, 8)}) == Effort(5 * 8 * 27 * 36, 5 * 8 * 9, "MaxPool")
    assert effort(cnn, {}).steps == 0
