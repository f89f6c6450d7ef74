"""Sensitivities against direct measurement, and estimates against them."""

import importlib.util

import numpy as np
import onnx
import pytest

import nmtool
from nmtool.data import DataOptions
from nmtool.errors import UsageError

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
ETA, TRIALS = 0.15, 6


def analyse(model, data, **options):
    defaults = {"parts": "sensitivity", "eta": ETA, "trials": TRIALS, "gradient": 0}
    return nmtool.analyze(model, data, **{**defaults, **options})


def rows(found):
    return {row["layer"]: row for row in found.to_json()["sensitivity"]}


@pytest.mark.parametrize(("layer", "others"), [("first", "second"), ("second", "first")])
def test_noise_in_one_layer_is_that_of_a_model_with_one_noisy_layer(classifier, labelled, layer, others):
    found = rows(analyse(classifier, labelled))
    for case, excluded in (("only", others), ("all_but", layer)):
        swept = nmtool.sweep(classifier, labelled, etas=[ETA], trials=TRIALS, injection={"exclude": [excluded]})
        assert found[layer][case]["mean"] == swept.summary()[-1].summary.mean
        assert found[layer][case]["low"] == swept.summary()[-1].summary.low


def test_all_noise_is_that_of_a_sweep_and_ranks_go_by_the_loss(classifier, labelled):
    found = analyse(classifier, labelled)
    swept = nmtool.sweep(classifier, labelled, etas=[ETA], trials=TRIALS).summary()
    assert found.settings.noisy == swept[-1].summary
    assert found.settings.clean == swept[0].summary.mean == 1
    by_rank = found.to_json()["sensitivity"]
    assert [row["rank"] for row in by_rank] == [1, 2]
    assert by_rank[0]["only"]["mean"] <= by_rank[1]["only"]["mean"]
    assert {row["layer"]: (row["array"], row["weights"], row["macs"]) for row in by_rank} == {
        "first": ("a", 48, 48),
        "second": ("b", 24, 24),
    }


def test_a_noisy_model_is_analysed_with_its_own_noise(classifier, labelled):
    noisy = nmtool.inject(classifier, eta=ETA, seed=5).model
    found = nmtool.analyze(noisy, labelled, parts="sensitivity", trials=TRIALS, gradient=0)
    assert (found.settings.eta, found.settings.seed) == (ETA, 5)
    assert rows(found) == rows(analyse(classifier, labelled, seed=5))


@needs_torch
def test_estimates_of_classes_are_the_divergence_that_small_noise_makes(classifier, labelled):
    eta, draws = 0.01, 300
    found = rows(analyse(classifier, labelled, eta=eta, trials=1, gradient=600))
    x = {"x": labelled["x"]}
    clean = softmax(nmtool.run(nmtool.inject(classifier, eta=eta).model, x, scale=0)["y"])
    for layer, other in (("first", "second"), ("second", "first")):
        model = nmtool.inject(classifier, eta=eta, exclude=[other]).model
        session = nmtool.session(model)
        noisy = [softmax(session.run(None, {**x, "noise_trial": np.array(t)})[0]) for t in range(draws)]
        divergence = np.mean([(clean * np.log(clean / each)).sum(axis=1).mean() for each in noisy])
        assert found[layer]["gradient"] == pytest.approx(divergence, rel=0.35)


@needs_torch
def test_estimates_of_other_outputs_are_their_mean_squared_change(classifier, labelled):
    eta = 0.01
    found = rows(analyse(classifier, labelled, eta=eta, trials=200, gradient=600, metric="mse"))
    for row in found.values():
        assert row["gradient"] == pytest.approx(row["only"]["mean"], rel=0.35)


@needs_torch
def test_a_budget_measures_the_layers_with_the_largest_estimates(classifier, labelled):
    found = analyse(classifier, labelled, budget=1, gradient=64).to_json()["sensitivity"]
    assert found[0]["gradient"] > found[1]["gradient"]
    assert found[0]["only"] is not None
    assert found[1]["only"] is None
    assert found[1]["all_but"] is None


def test_a_budget_needs_estimates(classifier, labelled):
    with pytest.raises(UsageError, match="estimate"):
        analyse(classifier, labelled, budget=1)


@needs_torch
def test_noise_without_a_gradient_is_said_so(classifier, labelled):
    found = analyse(classifier, labelled, noise="stuck", gradient=4, trials=1)
    assert "no gradient" in found.notes[0]
    assert all(row["gradient"] is None for row in rows(found).values())


@needs_torch
def test_saturated_predictions_are_said_so(classifier, labelled):
    steep = onnx.ModelProto()
    steep.CopyFrom(classifier)
    last = next(each for each in steep.graph.initializer if each.name == "b")
    last.raw_data = (np.frombuffer(last.raw_data, np.float32) * 1e5).tobytes()
    found = analyse(steep, labelled, gradient=4, trials=1)
    assert "saturated" in found.notes[0]
    assert found.to_json()["gradient_rank_correlation"] is None


def test_a_fixed_batch_that_does_not_divide_the_data(classifier, labelled):
    fixed = onnx.ModelProto()
    fixed.CopyFrom(classifier)
    for value in (fixed.graph.input[0], fixed.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 7
    gradient = 8 if importlib.util.find_spec("torch") else 0
    found = analyse(fixed, labelled, gradient=gradient, parts="sensitivity,snr,information", draws=9)
    assert rows(found)["first"]["only"] == rows(analyse(classifier, labelled))["first"]["only"]
    assert len(found.snr) == 2


def test_the_number_of_samples_per_run_changes_nothing(classifier, labelled):
    found = [rows(analyse(classifier, labelled, data_options=DataOptions(batch_size=size))) for size in (7, 60)]
    assert found[0] == found[1]


def softmax(values):
    powers = np.exp(values.astype(np.float64) - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
