"""Signal-to-noise ratios against closed forms."""

import numpy as np
import pytest

import nmtool
from nmtool.verbs.analyze.snr import effective_bits

ETA, TRIALS = 0.1, 40


@pytest.fixture(scope="module")
def found(classifier, labelled):
    analysis = nmtool.analyze(classifier, labelled, parts="snr", eta=ETA, trials=TRIALS)
    return {row["layer"]: row for row in analysis.to_json()["snr"]}


def arrays(classifier):
    return {
        each.name: np.frombuffer(each.raw_data, np.float32).reshape(each.dims) for each in classifier.graph.initializer
    }


def decibels(inputs, weights):
    """Of a product with noise of ETA times the range of the weights on each."""
    sigma = ETA * np.ptp(weights)
    return 10 * np.log10(np.square(inputs @ weights).mean() / (sigma**2 * np.square(inputs).sum(axis=1).mean()))


def test_noise_that_is_injected_has_the_size_of_its_closed_form(classifier, labelled, found):
    stored = arrays(classifier)
    hidden = np.maximum(labelled["x"] @ stored["a"], 0)
    assert found["first"]["injected_db"] == pytest.approx(decibels(labelled["x"], stored["a"]), abs=0.5)
    assert found["second"]["injected_db"] == pytest.approx(decibels(hidden, stored["b"]), abs=0.5)


def test_noise_adds_up_on_its_way(found):
    assert found["first"]["propagated_db"] == found["first"]["injected_db"]  # nothing comes before it
    assert found["second"]["propagated_db"] < found["second"]["injected_db"]


def test_effective_bits_are_those_of_a_converter(found):
    for row in found.values():
        assert row["injected_bits"] == pytest.approx((row["injected_db"] - 1.76) / 6.02)
    steps = 2**8
    sine = np.sin(np.linspace(0, 2 * np.pi, 100_003))
    rounded = np.round(sine * steps / 2) / (steps / 2)
    assert effective_bits(10 * np.log10(np.mean(sine**2) / np.mean((sine - rounded) ** 2))) == pytest.approx(
        8, abs=0.05
    )


def test_without_noise_there_is_no_ratio(classifier, labelled):
    analysis = nmtool.analyze(classifier, labelled, parts="snr", eta=0.0, trials=1)
    assert all(row["injected_db"] is None and row["propagated_bits"] is None for row in analysis.to_json()["snr"])
