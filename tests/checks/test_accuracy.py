import numpy as np
import pytest
from planted import noisy, two_layers
from scipy import stats

from build import weights
from nmtool.checks.accuracy import decide, looks, validate
from nmtool.checks.gates import parse
from nmtool.checks.subject import Request, Subject
from nmtool.data import DataOptions
from nmtool.errors import UsageError
from nmtool.noise import Gaussian

X = weights(40, 8, seed=1)
LABELLED = (X, np.arange(40) % 6)


def test_looks_double_up_to_the_last():
    assert looks(100) == [5, 10, 20, 40, 80, 100]
    assert looks(5) == [5]
    assert looks(3) == [3]


def decided(gate, mean, seed, *, std=0.02, max_trials=40, alpha=0.05):
    generator = np.random.default_rng(seed)
    return decide(parse(gate), lambda trial: mean + std * generator.standard_normal(), max_trials, alpha)


@pytest.mark.parametrize("gate", ["top1>=0.9", "mse<=0.9"])
def test_a_gate_at_the_mean_rarely_passes_and_rarely_fails(gate):
    """Each of the two errors at most alpha: of 400 gates at most binomial(400, 0.05), here at its 99.9 % point."""
    decisions = [decided(gate, 0.9, seed).decision for seed in range(400)]
    for wrong in ("passed", "failed"):
        assert decisions.count(wrong) <= stats.binom.ppf(0.999, 400, 0.05)
    assert decisions.count(None) > 300


def test_a_clear_case_is_decided_at_the_first_look():
    verdict = decided("top1>=0.9", 0.99, 0, std=0.001, max_trials=100)
    assert (verdict.decision, verdict.trials) == ("passed", 5)
    assert 0.9 < verdict.low < verdict.mean < verdict.high
    assert decided("top1>=0.9", 0.8, 0, std=0.001).decision == "failed"
    assert decided("mse<=0.9", 0.8, 0, std=0.001).decision == "passed"


def test_a_closer_case_takes_more_trials():
    verdict = decided("top1>=0.9", 0.908, 0, max_trials=100)
    assert verdict.decision == "passed"
    assert verdict.trials > 5
    assert decided("top1>=0.9", 0.9001, 0, max_trials=20).trials == 20


def test_a_metric_that_is_no_number_fails():
    assert decide(parse("mse<=1"), lambda trial: np.nan, 100, 0.01).decision == "failed"


@pytest.mark.parametrize(
    ("gate", "request_", "problem"),
    [
        ("nonsense>=1@eta=0.1", {"data": LABELLED}, "no metric is named 'nonsense'"),
        ("top1>=1@eta=0.1", {}, "needs data"),
        ("top1>=1@eta=0.1", {"data": X}, "needs labels"),
        ("top1>=1", {"data": LABELLED}, "no strength of the noise"),
        ("top9>=1@eta=0.1", {"data": LABELLED}, "at least 9 classes"),
        ("top1>=1@eta=0.1", {"data": (X, np.full(40, 6))}, "the output has 6 classes"),
        ("top1>=1@eta=0.1", {"data": (weights(40, 7), LABELLED[1])}, "input 'x'"),
    ],
)
def test_gates_that_make_no_sense(gate, request_, problem):
    with pytest.raises(UsageError, match=problem):
        validate(Subject(Request(two_layers(), gates=[parse(gate)], **request_)))


@pytest.mark.parametrize(
    ("options", "problem"), [({"fresh": True}, "draws its noise by itself"), ({"eta": 0.0}, "eta 0")]
)
def test_noise_that_cannot_be_scaled(options, problem):
    request = Request(noisy(two_layers(), **options), data=LABELLED, gates=[parse("top1>=0.5@eta=0.1")])
    with pytest.raises(UsageError, match=problem):
        validate(Subject(request))


def test_gates_that_make_sense():
    gates = [parse("agreement>=0.5"), parse("top1>=0.1@eta=0"), parse("mse<=1@eta=0.2")]
    options = DataOptions(batch_size=16)
    for model, noise in ((two_layers(), Gaussian(0.1)), (noisy(two_layers()), None)):
        validate(Subject(Request(model, data=LABELLED, data_options=options, gates=gates, noise=noise)))
    validate(Subject(Request(two_layers())))
