"""Noise models: the sigma that they report against Monte-Carlo through the reference, and their parameters."""

import math

import numpy as np
import onnx_ir as ir
import pytest

from nmtool.errors import UsageError
from nmtool.noise import NOISE_MODELS, Gaussian, Lognormal, Stuck, noise_model
from nmtool.noise.base import NoiseModel, WeightStatistics, parameters
from nmtool.noise.reference import Source, gaussian_noise, lognormal_noise, stuck_faults
from nmtool.passes.statistics import statistics

PRIMITIVES = {"GaussianNoise": gaussian_noise, "LognormalNoise": lognormal_noise, "StuckFaults": stuck_faults}
WEIGHTS = np.random.default_rng(1).normal(0.3, 1.0, (40, 50)).astype(np.float32)


def measure(array: np.ndarray, axis: int | None = None) -> WeightStatistics:
    return statistics(ir.tensor(array), "w", axis)


@pytest.mark.parametrize(
    "noise",
    [
        Gaussian(0.05),
        Gaussian(0.05, "max"),
        Gaussian(0.05, "std"),
        Lognormal(0.1),
        Lognormal(0.5),
        Stuck(0.1),
        Stuck(0.1, 1.0),
        Stuck(0.3, 0.4),
    ],
    ids=repr,
)
@pytest.mark.parametrize("axis", [None, 1])
def test_sigma_is_the_root_mean_square_perturbation(noise: NoiseModel, axis: int | None) -> None:
    if isinstance(noise, Stuck) and axis is not None:
        pytest.skip("stuck faults have no per-channel form")
    measured = measure(WEIGHTS, axis)
    squares = []
    for trial in range(100):
        noisy = WEIGHTS
        for draw, stage in enumerate(noise.stages()):
            values = [parameter.resolve(measured) for parameter in stage.parameters]
            noisy = PRIMITIVES[stage.primitive](noisy, *values, Source(1, 2, trial, draw))
        squares.append(np.mean(np.square((noisy - WEIGHTS).astype(np.float64))))
    # six standard errors of the mean over trials: false-alarm rate 2e-9 each, fixed seed
    error = 6 * np.std(squares) / np.sqrt(len(squares))
    assert np.mean(squares) == pytest.approx(noise.sigma(measured) ** 2, abs=error)


def test_relative_units() -> None:
    measured = measure(np.array([-1.0, 0.0, 3.0], np.float32))
    assert Gaussian(0.1).sigma(measured) == pytest.approx(0.4)
    assert Gaussian(0.1, "max").sigma(measured) == pytest.approx(0.3)
    assert Gaussian(0.1, "std").sigma(measured) == pytest.approx(0.1 * np.std([-1, 0, 3]))


@pytest.mark.parametrize("name", NOISE_MODELS)
@pytest.mark.parametrize("eta", [-0.1, math.nan, math.inf])
def test_eta_out_of_range(name: str, eta: float) -> None:
    with pytest.raises(UsageError, match="eta"):
        noise_model(name, {"eta": eta})


def test_other_parameters() -> None:
    with pytest.raises(UsageError, match="no noise model is called 'pink'"):
        noise_model("pink", {})
    with pytest.raises(UsageError, match="has no parameter 'relative_to'"):
        noise_model("lognormal", {"relative_to": "max"})
    with pytest.raises(UsageError, match="relative_to must be"):
        noise_model("gaussian", {"relative_to": "mean"})
    with pytest.raises(UsageError, match="at most 1"):
        Stuck(1.5)
    with pytest.raises(UsageError, match="at most 1"):
        Stuck(0.5, 1.1)
    assert parameters(Stuck(0.1)) == {"model": "stuck", "eta": 0.1, "high": 0.0}


def test_stuck_faults_per_channel_are_refused() -> None:
    with pytest.raises(UsageError, match="per-channel"):
        Stuck().stages()[0].parameters[1].resolve(measure(WEIGHTS, 1))
