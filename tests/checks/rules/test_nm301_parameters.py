import pytest
from checking import outcome
from planted import calls, change, noisy, record, said, two_layers

from nmtool.noise import NOISE_MODELS

RULE = "nm301_parameters"
OPTIONS = [
    {},
    {"per_channel": True},
    {"dynamic": True},
    {"fresh": True},
    {"noise": "lognormal"},
    {"noise": "stuck"},
    {"skip_first": 1},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_passes(options):
    result = outcome(RULE, noisy(two_layers(), **options))
    assert result.status == "passed"
    assert "compared with the declared noise" in said(result, "note")[0]


def test_noise_that_the_check_injects_passes():
    assert outcome(RULE, two_layers(), noise=NOISE_MODELS["gaussian"](0.1)).status == "passed"


def test_a_model_without_noise_is_not_checked():
    assert outcome(RULE, two_layers()).status == "not checked"


def test_a_scaled_parameter():
    result = outcome(RULE, change(noisy(two_layers()), "w::std", lambda std: 1.05 * std))
    (message,) = said(result)
    assert "'w::std' of array 'w'" in message
    assert "1.05 times as much" in message
    assert result.findings[0].facts["stored"] == pytest.approx(1.05 * result.findings[0].facts["declared"])


def test_one_channel_of_many():
    def scale_one(std):
        std = std.copy()
        std[..., 2] *= 1.05
        return std

    (finding, _) = outcome(RULE, change(noisy(two_layers(), per_channel=True), "v::std", scale_one)).findings
    assert finding.facts["differing"] == 1


def test_weights_that_were_changed_after_the_injection():
    (message,) = said(outcome(RULE, change(noisy(two_layers()), "v", lambda v: 0.5 * v)))
    assert "'v::std' of array 'v'" in message
    assert "2 times as much" in message


@pytest.mark.parametrize(
    ("noise", "part"),
    [
        ({"eta": 0.06}, "0.8333 times as much"),
        ({"relative_to": "max"}, "times as much"),
        ({"per_channel": True}, "has shape [], not [1, 16]"),
        ({"model": "lognormal", "relative_to": None}, "unknown"),
        ({"eta": -1}, "must be a finite number"),
    ],
)
def test_an_edited_record(noise, part):
    assert part in said(outcome(RULE, record(noisy(two_layers()), noise=noise)))[0]


def test_another_kind_of_noise():
    proto = noisy(two_layers(), noise="lognormal")
    other = record(proto, noise={"model": "stuck", "high": 0.0})
    assert "the declared noise makes it a NoisyMatMulStuck" in said(outcome(RULE, other))[0]


def test_a_parameter_that_is_computed_at_run_time():
    proto = noisy(two_layers())
    calls(proto)[0].input[2] = "noise_scale"
    assert "'noise_scale' of array 'v'" in said(outcome(RULE, proto))[0]
