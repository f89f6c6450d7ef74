"""Sampled outputs of a convolution have the distribution of one noisy kernel that is applied everywhere.

Of each statistic the false-alarm rate is stated; seeds are fixed, so a test that passes goes on passing.
"""

import numpy as np
import pytest
from convolutions import convolution
from onnx import numpy_helper
from scipy import stats

import nmtool

CHANNELS, INPUTS, STRIDE, TRIALS = 40, 32, 4, 300
X = np.random.default_rng(1).standard_normal((2, INPUTS, 12, 12)).astype(np.float32)


@pytest.fixture(autouse=True)
def crossover(monkeypatch):
    """Outputs are sampled up to 50 positions, however small the weights are."""
    monkeypatch.setattr(
        "nmtool.passes.lowering.sample_convolutions.rows_where_outputs_are_cheaper", lambda *_, **__: 50
    )


def without_relu(**options):
    model = convolution(CHANNELS, INPUTS, stride=STRIDE, **options)
    model.graph.node.pop()
    model.graph.output[0].name = model.graph.node[-1].output[0]
    return model


def run(session, x, trial, scale):
    feeds = {"x": x, "noise_trial": np.array(trial), "noise_scale": np.array(scale, np.float32)}
    return session.run(None, feeds)[0].astype(np.float64)


def patches(x, kernel):
    """What a kernel with padding sees [images * positions, inputs * kernel^2]."""
    edge = kernel // 2
    padded = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))[:, :, ::STRIDE, ::STRIDE]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * kernel**2).astype(np.float64)


@pytest.mark.parametrize("per_channel", [False, True], ids=["layer", "channel"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_mean_covariance_and_shape_of_the_noise(kernel, per_channel):
    model = without_relu(kernel=kernel, bias=True)
    noisy = nmtool.inject(model, eta=0.1, per_channel=per_channel).model
    (form,) = nmtool.explain_session(noisy, sampling="auto")
    assert (form.form, form.reason) == ("outputs", "up to 50 positions, else weights behind the layout")
    session = nmtool.session(noisy, sampling="auto", threads=2)
    clean = run(session, X, 0, 0.0)
    noise = np.stack([run(session, X, trial, 1.0) - clean for trial in range(TRIALS)])
    weights = numpy_helper.to_array(model.graph.initializer[-1 if model.graph.initializer[-1].name == "w" else 0])
    weights = weights.reshape(CHANNELS, -1).astype(np.float64)
    sigma = 0.1 * (np.ptp(weights, axis=1) if per_channel else np.full(CHANNELS, np.ptp(weights)))
    rows = (noise / sigma[:, None, None]).transpose(1, 3, 4, 0, 2).reshape(18, -1)
    factor = np.linalg.cholesky(patches(X, kernel) @ patches(X, kernel).T)
    white = np.linalg.solve(factor, rows)  # independent standard normals, if all holds
    # 18 + 171 statistics, each beyond 5 standard errors with probability 6e-7.
    count = white.shape[1]
    assert np.abs(white.mean(1)).max() < 5 / np.sqrt(count)
    errors = np.where(np.eye(18) > 0, np.sqrt(2 / count), np.sqrt(1 / count))
    assert (np.abs(white @ white.T / count - np.eye(18)) < 5 * errors).all()
    assert stats.kstest(white.ravel(), "norm").pvalue > 1e-4
    across = white.reshape(18, TRIALS, CHANNELS).transpose(2, 0, 1).reshape(CHANNELS, -1)
    assert np.abs(np.corrcoef(across) - np.eye(CHANNELS)).max() < 5.5 / np.sqrt(across.shape[1])


@pytest.mark.parametrize("options", [{"residual": True}, {"normalized": True, "residual": True, "bias": True}], ids=str)
def test_noise_is_added_to_the_sum_and_before_the_activation(options):
    noisy = nmtool.inject(convolution(CHANNELS, INPUTS, stride=STRIDE, **options), eta=0.1).model
    assert {each.form for each in nmtool.explain_session(noisy, sampling="auto")} == {"outputs"}
    sampled, portable = (nmtool.session(noisy, **form) for form in ({"sampling": "auto"}, {"lowering": False}))
    expected = run(portable, X, 0, 0.0)
    np.testing.assert_allclose(run(sampled, X, 0, 0.0), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    deviations = [np.std([run(each, X, trial, 0.1) for trial in range(40)], axis=0) for each in (sampled, portable)]
    # 720 positive outputs at most, each with its standard deviation from 40 trials: 11 % of standard error.
    np.testing.assert_allclose(np.mean(deviations[0]), np.mean(deviations[1]), rtol=0.1)
    assert run(sampled, X, 3, 1.0).min() == 0


def test_more_positions_get_the_noise_of_the_weights():
    noisy = nmtool.inject(without_relu(), eta=0.1).model
    session, portable = nmtool.session(noisy, sampling="auto"), nmtool.session(noisy, lowering=False)
    for images, same in ((5, False), (6, True)):  # of 9 positions
        x = np.tile(X, (3, 1, 1, 1))[:images]
        expected = run(portable, x, 3, 1.0)
        assert np.allclose(run(session, x, 3, 1.0), expected, rtol=0, atol=1e-5 * np.abs(expected).max()) == same


@pytest.mark.parametrize("options", [{"group": 2}, {"stride": 1}], ids=str)
def test_other_convolutions_draw_weights(options):
    noisy = nmtool.inject(convolution(32, 32, **{"stride": STRIDE, **options}), eta=0.1).model
    assert [each.form for each in nmtool.explain_session(noisy, sampling="auto")] == ["blocked"]
