"""Advice on precision: found, confirmed, and taken by inject."""

import tomllib

import numpy as np
import pytest

import nmtool
from nmtool.errors import UsageError
from nmtool.hardware.profile import load
from nmtool.noise import Gaussian

ETA, TRIALS = 0.15, 16


def advise(classifier, labelled, gate, **options):
    defaults = {"parts": "precision", "eta": ETA, "trials": TRIALS, "gradient": 0}
    return nmtool.analyze(classifier, labelled, gate=gate, **{**defaults, **options})


def mean_of(classifier, labelled, digital):
    swept = nmtool.sweep(classifier, labelled, etas=[ETA], trials=TRIALS, injection={"exclude": digital})
    return swept.summary()[-1].summary


def test_a_gate_that_holds_already_needs_nothing(classifier, labelled):
    found = advise(classifier, labelled, "top1>=0.2").precision
    assert found.met
    assert found.digital == []
    assert [step.action for step in found.steps] == ["start"]
    assert found.steps[0].mac_share == 1
    assert found.steps[0].weight_share == 72 / 75  # the bias stays digital


def test_one_layer_is_enough_and_the_sweep_of_the_profile_says_so(classifier, labelled, tmp_path):
    bound = 0.7
    assert mean_of(classifier, labelled, []).low < bound < mean_of(classifier, labelled, ["second"]).low
    analysis = advise(classifier, labelled, f"top1>={bound}")
    found = analysis.precision
    assert found.met
    assert found.digital == ["second"]
    assert found.confirmation.low >= bound
    (tmp_path / "profile.toml").write_text(analysis.profile())
    report = nmtool.inject(classifier, noise=load(tmp_path / "profile.toml")).report
    assert {node.name for node in report.nodes if node.status == "digital"} == set(found.digital)
    swept = nmtool.sweep(classifier, labelled, noise=load(tmp_path / "profile.toml"), seed=1, trials=TRIALS)
    assert swept.summary()[-1].summary == found.confirmation


def test_steps_are_what_models_with_these_digital_layers_have(classifier, labelled):
    found = advise(classifier, labelled, "top1>=0.999").precision
    digital = []
    for step in found.steps:
        digital += step.layers if step.action == "digital" else []
        if len(digital) < 2:
            assert step.metric == mean_of(classifier, labelled, digital)
    assert found.met  # nothing is noisy any more
    assert found.confirmation is None
    assert set(found.digital) == {"first", "second"}


def test_a_gate_above_the_clean_model_is_not_met(classifier, labelled):
    spoilt = {**labelled, "labels": np.roll(labelled["labels"], 1)}
    found = advise(classifier, spoilt, "top1>=0.99")
    assert not found.precision.met
    assert "no layer is to blame" in found.notes[-1]


def test_lower_can_be_better(classifier, labelled):
    found = advise(classifier, labelled, "mse<=0.001")
    assert found.precision.met
    assert set(found.precision.digital) == {"first", "second"}


def test_layers_that_share_an_array_go_together():
    from build import model

    text = (
        "g (float[N,4] x) => (float[N,4] y) { [one] h = MatMul(x, w) [two] z = MatMul(h, w) [three] y = MatMul(z, v) }"
    )
    rng = np.random.default_rng(0)
    shared = model(text, w=rng.standard_normal((4, 4), np.float32), v=rng.standard_normal((4, 4), np.float32))
    x = rng.standard_normal((40, 4)).astype(np.float32)
    labels = np.asarray(nmtool.run(nmtool.inject(shared).model, {"x": x}, scale=0)["y"]).argmax(axis=1)
    found = advise(shared, {"x": x, "labels": labels}, "top1>=0.9999").precision
    moved = [set(step.layers) for step in found.steps if step.action == "digital"]
    assert {"one", "two"} in moved
    assert {"three"} in moved


def test_hardware_keeps_its_table_and_what_was_digital_stays_so(classifier, labelled):
    hardware = load("pcm", ['digital.nodes=["first"]'])
    found = advise(classifier, labelled, "top1>=0.5", eta=None, noise=hardware, trials=3)
    table = tomllib.loads(found.profile())
    assert table["time"] == "1d"
    assert table["digital"]["nodes"][0] == "first"
    assert load(table).digital.nodes[0] == "first"


def test_layers_left_out_by_the_selection_are_digital_in_the_profile(classifier, labelled):
    found = advise(classifier, labelled, "top1>=0.1", injection={"exclude": ["second"]})
    assert tomllib.loads(found.profile())["digital"]["nodes"] == ["second"]
    assert found.precision.digital == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gate": "top1>=0.9@eta=0.3"}, "the gate is at eta 0.3"),
        ({"gate": "top1=0.9"}, "not a gate"),
        ({"gate": None}, "needs a gate"),
        ({"trials": 1}, "at least 2 trials"),
        ({"injection": {"per_channel": True}}, "per channel"),
        ({"noise": load("pcm"), "eta": 0.5}, "strength 0.5"),
    ],
)
def test_what_cannot_be_advised_on(classifier, labelled, options, message):
    with pytest.raises(UsageError, match=message):
        advise(classifier, labelled, **{"gate": "top1>=0.9", **options})


def test_a_profile_states_the_noise_model(classifier, labelled):
    found = advise(classifier, labelled, "top1>=0.1", noise=Gaussian(1.0, "max"))
    assert tomllib.loads(found.profile())["weights"] == {"model": "gaussian", "eta": ETA, "relative_to": "max"}
