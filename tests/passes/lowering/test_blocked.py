"""Lowered convolutions give the values of the portable form."""

import numpy as np
import pytest
from convolutions import convolution

import nmtool

FORMS = {
    "plain": {"channels": 32, "inputs": 32},
    "image": {"channels": 32, "inputs": 3, "kernel": 7, "stride": 2},
    "pointwise": {"channels": 64, "inputs": 128, "kernel": 1},
    "many columns": {"channels": 16, "inputs": 96, "kernel": 5},
    "odd number of columns": {"channels": 32, "inputs": 48, "kernel": 3, "bias": True},
    "depthwise": {"channels": 32, "inputs": 32, "group": 32},
    "grouped": {"channels": 64, "inputs": 64, "group": 2},
    "channels that are no blocks": {"channels": 20, "inputs": 12},
    "bias": {"channels": 32, "inputs": 16, "bias": True},
    "normalized": {"channels": 32, "inputs": 32, "normalized": True},
    "normalized, with bias": {"channels": 48, "inputs": 16, "normalized": True, "bias": True},
    "residual": {"channels": 32, "inputs": 32, "normalized": True, "residual": True},
}


def outputs(model, trial, scale, **options):
    x = np.random.default_rng(1).standard_normal((3, model.graph.inputs[0].shape[1], 12, 12)).astype(np.float32)
    feeds = {"x": x, "noise_trial": np.array(trial), "noise_scale": np.array(scale, np.float32)}
    return nmtool.session(model, threads=2, **options).run(None, feeds)[0]


@pytest.mark.parametrize("per_channel", [False, True], ids=["layer", "channel"])
@pytest.mark.parametrize("form", FORMS)
def test_values_are_those_of_the_portable_form(form, per_channel):
    noisy = nmtool.inject(convolution(**FORMS[form]), eta=0.1, per_channel=per_channel).model
    assert {each.form for each in nmtool.explain_session(noisy)} == {"blocked"}
    for trial, scale in ((0, 1.0), (7, 0.5), (2**40 + 1, 3.0), (1, 0.0)):
        expected = outputs(noisy, trial, scale, lowering=False)
        np.testing.assert_allclose(
            outputs(noisy, trial, scale), expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=form
        )


def test_arrays_with_equal_weights_keep_their_own_noise():
    model = convolution(32, 32, 1, residual=True)
    first, second = model.graph.initializer
    second.raw_data = first.raw_data
    noisy = nmtool.inject(model, eta=0.1).model
    assert [each.form for each in nmtool.explain_session(noisy)] == ["blocked", "blocked"]
    expected = outputs(noisy, 3, 1.0, lowering=False)
    np.testing.assert_allclose(outputs(noisy, 3, 1.0), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_arrays_of_one_value_keep_the_order_of_their_noise():
    model = convolution(32, 32, 3)
    model.graph.initializer[0].raw_data = np.ones((32, 32, 3, 3), np.float32).tobytes()
    noisy = nmtool.inject(model, noise=nmtool.noise.Gaussian(0.1, relative_to="max")).model
    expected = outputs(noisy, 3, 1.0, lowering=False)
    np.testing.assert_allclose(outputs(noisy, 3, 1.0), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_fresh_noise_is_fresh_behind_the_layout():
    noisy = nmtool.inject(convolution(32, 32), eta=0.1, fresh=True).model
    assert [each.form for each in nmtool.explain_session(noisy)] == ["blocked"]
    session, x = nmtool.session(noisy), np.ones((1, 32, 12, 12), np.float32)
    first, second = (session.run(None, {"x": x})[0] for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
