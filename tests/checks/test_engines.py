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


def test_a_device_is_for_the_backends_that_have_a_choice(monkeypatch):
    subject = Subject(Request(DENSE, device="cuda", custom_ops=["own.so"]))
    assert subject.options("onnxruntime") == {"device": "cuda", "custom_ops": ["own.so"]}
    assert subject.options("torch") == {"device": "cuda"}
    assert subject.options("reference") == {}
    assert Subject(Request(DENSE)).options("onnxruntime") == {}


def test_with_a_device_onnxruntime_is_on_that_one_alone():
    def wanted(device):
        subject = Subject(Request(DENSE, device=device))
        return {*engines.present(subject), *(each.facts["backend"] for each in engines.absent(subject))}

    assert wanted("auto") - wanted("cpu") == {"onnxruntime-cuda"}


def test_what_is_right_is_computed_on_the_cpu(monkeypatch):
    loaded = []

    def load(model, backend, **options):
        loaded.append((backend, options))
        return real(model, backend, **{name: value for name, value in options.items() if name != "device"})

    real = backends.load
    monkeypatch.setattr(backends, "load", load)
    monkeypatch.setattr(engines, "too_much", lambda subject: "too much")
    subject = Subject(Request(DENSE, device="cuda"))
    engines.oracle(subject, "clean")
    assert [options["device"] for _, options in loaded] == ["cpu", "cuda"]  # the second tries inputs


def test_large_models_have_one_session_at_a_time(monkeypatch):
    subject = Subject(Request(DENSE, noise=Gaussian(0.1)))
    both = [subject.on("onnxruntime", variant) for variant in ("clean", "noisy", "clean")]
    assert both[0] is both[2]
    monkeypatch.setattr("nmtool.checks.subject._KEPT", 8)
    subject = Subject(Request(DENSE, noise=Gaussian(0.1)))
    both = [subject.on("onnxruntime", variant) for variant in ("clean", "noisy", "clean")]
    assert both[0] is not both[2]


def test_noise_of_many_weights_is_not_made_in_standard_operators(monkeypatch):
    subject = Subject(Request(DENSE, noise=Gaussian(0.1)))
    monkeypatch.setattr(engines, "_MOST_IN_BODIES", 31)
    load = engines.loader(subject, "onnxruntime", library=False)
    load(subject.clean)
    with pytest.raises(ModelError, match="weights takes too much memory and time in standard operators"):
        load(subject.noisy)
    engines.loader(subject, "onnxruntime")(subject.noisy)
