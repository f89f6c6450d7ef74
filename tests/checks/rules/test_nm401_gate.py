import numpy as np
import onnx
import pytest
from checking import outcome
from planted import noisy, said, two_layers
from running import run_ort

from build import weights
from nmtool.checks.gates import parse
from nmtool.noise import Gaussian

RULE = "nm401_gate"
X = weights(60, 8, seed=1)
DATA = (X, run_ort(two_layers(), {"x": X})[0].argmax(axis=1))  # the clean model is always right


def judged(gate, model=None, **request):
    return outcome(RULE, two_layers() if model is None else model, data=DATA, gates=[parse(gate)], **request)


def test_a_gate_that_the_model_passes():
    result = judged("top1>=0.6@eta=0.05")
    assert result.status == "passed"
    (finding,) = result.findings
    assert finding.message.startswith("gate top1>=0.6@eta=0.05 passed: top1 at eta 0.05 is 0.")
    assert 0.6 < finding.facts["low"] < finding.facts["mean"] < finding.facts["high"] <= 1
    assert finding.facts["trials"] < 100


def test_a_gate_that_it_does_not_pass():
    (message,) = said(judged("top1>=0.99@eta=0.3"))
    assert message.startswith("gate top1>=0.99@eta=0.3 failed: top1 at eta 0.3 is 0.")
    assert said(judged("mse<=0.001@eta=0.3"))


def test_a_gate_at_the_mean_is_not_decided_and_fails():
    mean = judged("top1>=0.1@eta=0.1", max_trials=40).findings[0].facts["mean"]
    result = judged(f"top1>={mean}@eta=0.1", max_trials=5)
    (message,) = said(result)
    assert message.startswith(f"gate top1>={mean:g}@eta=0.1 is not decided: top1")
    assert "in 5 trials" in message
    assert result.findings[0].facts["decision"] is None


def test_without_noise_one_evaluation_decides():
    result = judged("top1>=1@eta=0")
    assert said(result, "note") == ["gate top1>=1@eta=0 passed: top1 at eta 0 is 1 in 1 trial"]


def test_noise_of_the_model_of_the_check_or_of_the_gate():
    """The same seed and strength are the same trials, wherever the noise comes from."""
    values = [
        judged("top1>=0.1", noisy(two_layers(), eta=0.05, seed=4)).findings[0].facts["mean"],
        judged("top1>=0.1@eta=0.05", noisy(two_layers(), eta=0.1, seed=4)).findings[0].facts["mean"],
        judged("top1>=0.1@eta=0.05", noise=Gaussian(0.3), seed=4).findings[0].facts["mean"],
        judged("top1>=0.1", noise=Gaussian(0.05), seed=4).findings[0].facts["mean"],
        judged("top1>=0.1@eta=0.05", seed=4).findings[0].facts["mean"],
    ]
    assert values == pytest.approx([values[0]] * 5, abs=0.005)


def test_the_placement_is_that_of_the_check():
    result = judged("agreement>=1@eta=0.5", placement={"exclude": ["h"], "per_channel": True})
    assert result.findings[0].facts["mean"] > judged("agreement>=1@eta=0.5").findings[0].facts["mean"]


def test_several_gates_are_judged_each():
    gates = [parse("top1>=0.1@eta=0.05"), parse("agreement>=0.1@eta=0.05"), parse("top1>=1@eta=0.5")]
    result = outcome(RULE, two_layers(), data=DATA, gates=gates)
    assert [finding.severity for finding in result.findings] == ["error", "note", "note"]


def test_a_gate_that_cannot_be_measured_has_not_passed():
    nothing_analog = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]> g (float[n,8] x) => (float[n,8] y) { y = Relu(x) }'
    )
    (message,) = said(judged("top1>=0.1@eta=0.05", nothing_analog))
    assert message.startswith("gates cannot be measured: nothing to make noisy")
    labels = np.where(np.arange(60) == 59, 6, DATA[1])
    (message,) = said(outcome(RULE, two_layers(), data=(X, labels), gates=[parse("top1>=0.1@eta=0.05")]))
    assert "the output has 6 classes" in message


def test_without_gates_nothing_is_checked():
    assert outcome(RULE, two_layers(), data=DATA).status == "not checked"


def test_progress_is_reported():
    calls = []
    judged("top1>=0.1@eta=0.05", progress=lambda *call: calls.append(call))
    assert calls[:2] == [("gate top1>=0.1@eta=0.05", 0, 100), ("gate top1>=0.1@eta=0.05", 1, 100)]
