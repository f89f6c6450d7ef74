"""Means and standard deviations of every device against closed forms, over the conductance range and over time.

Each figure is of 200,000 devices with the same target, from a fixed seed, and may be six standard errors off: were the
seed drawn anew, that would raise a false alarm twice in 10^9 figures. The closed forms are written down apart from
the devices.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest, norm

from nmtool.noise.device import Device
from nmtool.noise.devices.additive import Additive
from nmtool.noise.devices.drift import Drift
from nmtool.noise.devices.faults import Faults
from nmtool.noise.devices.hermes import Hermes
from nmtool.noise.devices.levels import Levels
from nmtool.noise.devices.lognormal import Lognormal
from nmtool.noise.devices.multiplicative import Multiplicative
from nmtool.noise.devices.mzi import Mzi
from nmtool.noise.devices.pcm import Pcm
from nmtool.noise.devices.polynomial import Polynomial
from nmtool.noise.devices.reram_cmo import ReramCmo
from nmtool.noise.devices.reram_wan import ReramWan
from nmtool.noise.devices.sram import Sram
from nmtool.noise.devices.uniform import Uniform
from nmtool.noise.numpy_chip import NumpyChip

DEVICES_EACH = 200_000
DAY, YEAR = 86400.0, 3.156e7


def held(device: Device, target: float, *, time: float = 0.0, scale: float = 1.0, run: int = 0) -> list[NDArray]:
    """What devices hold after programming, after drift, and in a run, float64."""
    chip = NumpyChip(3, 14, scale=scale, time=time, run=run)
    wanted = np.full(DEVICES_EACH, target, np.float32)
    programmed = device.program(wanted, chip)
    drifted = device.drift(programmed, wanted, chip)
    return [each.astype(np.float64) for each in (programmed, drifted, device.read(drifted, wanted, chip))]


def agree(samples: NDArray, mean: float, std: float) -> None:
    centred = samples - samples.mean()
    variance = np.mean(centred**2)
    allowed = 6 / math.sqrt(samples.size)
    assert abs(samples.mean() - mean) <= allowed * std + 2e-7, (samples.mean(), mean)
    fourth = math.sqrt(max(np.mean(centred**4) - variance**2, 0))
    assert abs(variance - std**2) <= allowed * fourth + 1e-13, (math.sqrt(variance), std)


def rectified(mean: float, std: float) -> tuple[float, float]:
    """First two moments of max(N(mean, std^2), 0)."""
    inside, density = norm.cdf(mean / std), norm.pdf(mean / std)
    return mean * inside + std * density, (mean**2 + std**2) * inside + mean * std * density


def folded_decay(mean: float, std: float, power: float) -> float:
    """E[exp(-power |X|)], X ~ N(mean, std^2)."""
    shift = power * std
    return math.exp(shift**2 / 2) * (
        math.exp(-power * mean) * norm.cdf(mean / std - shift) + math.exp(power * mean) * norm.cdf(-mean / std - shift)
    )


def fit(low: float, high: float, intercept: float, slope: float) -> Callable[[float], float]:
    return lambda g: min(max(intercept + slope * math.log(max(g, 1e-7)), low), high)


def below(limit: float, small: Callable[[float], float], *coefficients: float) -> Callable[[float], float]:
    return lambda g: small(g) if g < limit else sum(c * g**k for k, c in enumerate(coefficients))


HERMES_EXPONENT = below(0.0945, fit(0.072, 0.13, -0.0182, -0.0387), 0.0736, -0.0126, -0.0436)
PHASE_CHANGE = {  # device: sigma(g), mean and spread of the exponent, Q(g), t0, t_read
    Pcm(): (
        lambda g: (0.26348 + 1.9650 * g - 1.1731 * g * g) / 25,
        fit(0.049, 0.1, 0.0244, -0.0155),
        fit(0.008, 0.045, -0.0059, -0.0125),
        lambda g: min(0.0088 / max(g, 1e-9) ** 0.65, 0.2),
        20.0,
        250e-9,
    ),
    Hermes(parallel=1): (
        lambda g: (0.15781817 + 2.32443916 * g - 2.16310839 * g**2 + 0.68841818 * g**3) / 10.35,
        HERMES_EXPONENT,
        below(0.3039, fit(0.0124, 0.04, -0.0023, -0.0120), 0.0104, 0.0116, -0.0165),
        below(0.1591, fit(0.0179, 0.04, 0.0038, -0.0078), 0.0088, 0.0768, -0.1352, 0.0664),
        200.0,
        512e-9,
    ),
    Hermes(): (
        lambda g: (0.16603222 + 4.71806468 * g - 8.48101252 * g**2 + 4.68961419 * g**3) / 20.7,
        HERMES_EXPONENT,
        below(0.3055, fit(0.0091, 0.04, -0.0057, -0.0117), 0.0073, 0.0093, -0.0118),
        below(0.16, fit(0.015, 0.04, -0.0069, -0.0117), 0.0123, 0.0211, -0.0280, 0.0069),
        300.0,
        512e-9,
    ),
}


@pytest.mark.parametrize("target", [0.0, 0.05, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("time", [0.0, DAY, YEAR])
@pytest.mark.parametrize("device", PHASE_CHANGE, ids=lambda device: f"{device.name}{getattr(device, 'parallel', '')}")
def test_phase_change(device: Device, time: float, target: float) -> None:
    sigma, mean, spread, q, t0, t_read = PHASE_CHANGE[device]
    programmed, drifted, read = held(device, target, time=time)
    first, second = rectified(target, sigma(target))
    agree(programmed, first, math.sqrt(second - first**2))
    elapsed = math.log((time + t0) / t0)
    first *= folded_decay(mean(target), spread(target), elapsed)
    second *= folded_decay(mean(target), spread(target), 2 * elapsed)
    agree(drifted, first, math.sqrt(second - first**2))
    relative = q(target) * math.sqrt(math.log((time + t0 + t_read) / (2 * t_read)))
    kept = rectified(1.0, relative)  # of what drift has left
    agree(read, first * kept[0], math.sqrt(second * kept[1] - (first * kept[0]) ** 2))


def test_phase_change_without_its_parts() -> None:
    programmed, drifted, read = held(Pcm(programming=0, drifting=0, reading=0), 0.3, time=YEAR)
    for each in (programmed, drifted, read):
        np.testing.assert_allclose(each, 0.3, rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_scale_multiplies_deviations_only(scale: float) -> None:
    _, drifted, read = held(Pcm(programming=0), 0.5, time=YEAR, scale=scale)
    elapsed = math.log((YEAR + 20) / 20)
    decay = [folded_decay(0.049, 0.008 * scale, power * elapsed) for power in (1, 2)]
    agree(drifted, 0.5 * decay[0], 0.5 * math.sqrt(decay[1] - decay[0] ** 2))
    assert read.std() > drifted.std()


WAN = {
    1.0: (0.348, 16.030, -43.853, 45.393, -16.815),
    DAY: (0.701, 22.086, -50.773, 47.095, -16.458),
    2 * DAY: (0.782, 20.274, -43.507, 37.062, -11.934),
}


def wan(target: float, time: float) -> float:
    return sum(c * target**k for k, c in enumerate(WAN[time])) / 40


@pytest.mark.parametrize("target", [0.0, 0.05, 0.3, 0.7, 1.0])
def test_reram_wan(target: float) -> None:
    between = math.sqrt(DAY)  # half way in the logarithm
    expected = {
        **{time: wan(target, time) for time in WAN},
        0.0: wan(target, 1.0),
        between: (wan(target, 1.0) + wan(target, DAY)) / 2,
        YEAR: wan(target, 2 * DAY),
    }
    for time, std in expected.items():
        first, second = rectified(target, std)
        agree(held(ReramWan(), target, time=time)[2], first, math.sqrt(second - first**2))


@pytest.mark.parametrize("acceptance", [0.2, 2.0])
def test_reram_cmo(acceptance: float) -> None:
    span = 88.199997 - 9
    conductance = 9 + 0.5 * span
    sigma = {0.2: 0.00081107 + 0.00106879 * conductance, 2.0: 0.0112185391 + 0.01129027418 * conductance}[acceptance]
    for time in (0.0, 1.0, DAY, YEAR):
        programmed, drifted, read = held(ReramCmo(acceptance=acceptance), 0.5, time=time)
        agree(programmed, 0.5, sigma / span)
        elapsed = math.log(max(time, 1.0))
        mean = 0.5 - 0.08900206 * elapsed / span
        variance = sigma**2 + (0.04201137 * elapsed + 0.41183342) ** 2
        agree(drifted, mean, math.sqrt(variance) / span)
        growth = math.log((max(time, 1.0) + 1e-6) / 2e-6)
        variance += (0.0277316483 * math.log10(9 + mean * span)) ** 2 * growth
        agree(read, mean, math.sqrt(variance) / span)
    drifted = held(ReramCmo(acceptance=acceptance), 0.0)[1]
    assert drifted.min() == 0


@pytest.mark.parametrize("target", [-1.0, -0.3, 0.0, 0.6, 1.0])
def test_distributions_of_signed_weights(target: float) -> None:
    size = abs(target)
    cubic = 0.01 + 0.05 * size - 0.02 * size**2 + 0.01 * size**3
    phase = math.exp(-(0.2**2) / 2)
    expected: list[tuple[Device, float, float]] = [
        (Additive(0.04), target, 0.04),
        (Multiplicative(0.04), target, 0.04 * size),
        (Polynomial((0.01, 0.05, -0.02, 0.01)), target, cubic),
        (Polynomial((-1.0, 0.5)), target, 0.0),
        (Uniform(0.1), target, 0.1 / math.sqrt(3)),
        (Lognormal(0.3), target * math.exp(0.045), size * math.exp(0.045) * math.sqrt(math.exp(0.09) - 1)),
        (Mzi(0.2), target * phase, math.sqrt((1 + (2 * size**2 - 1) * phase**4) / 2 - (size * phase) ** 2)),
        (Sram(0.02, bits=4), round(target * 15) / 15, 0.02 * math.sqrt(round(size * 15)) / 15),
    ]
    for device, mean, std in expected:
        programmed, drifted, read = held(device, target, time=DAY)
        agree(programmed, mean, std)
        np.testing.assert_array_equal(programmed, read)
        np.testing.assert_array_equal(programmed, drifted)


@pytest.mark.parametrize("device", [Additive, Multiplicative, Lognormal, Uniform, Polynomial])
def test_what_is_drawn_per_run_differs_between_runs_and_has_the_same_distribution(device: type[Device]) -> None:
    once = held(device(), 0.5)[0]
    programmed, _, first = held(device(drawn="run"), 0.5, run=1)  # type: ignore[call-arg]
    assert (programmed == 0.5).all()
    agree(first, once.mean(), once.std())
    assert abs(np.corrcoef(first, held(device(drawn="run"), 0.5, run=2)[2])[0, 1]) < 6 / math.sqrt(DEVICES_EACH)  # type: ignore[call-arg]


def test_uniform_numbers_are_uniform() -> None:
    """Kolmogorov and Smirnov's test; below 1e-9 by chance once in 10^9 seeds."""
    samples = held(Uniform(0.5), 0.5)[0]
    assert samples.min() >= 0
    assert samples.max() <= 1
    assert kstest(samples, "uniform").pvalue > 1e-9


@pytest.mark.parametrize("time", [0.0, DAY, YEAR])
def test_drift(time: float) -> None:
    elapsed = math.log(time / 10 + 1)
    factor = math.exp(-0.06 * elapsed + (0.02 * elapsed) ** 2 / 2)
    std = factor * math.sqrt(math.exp((0.02 * elapsed) ** 2) - 1)
    agree(held(Drift(0.06, 0.02, t0=10), -0.5, time=time)[1], -0.5 * factor, 0.5 * std)


def test_levels() -> None:
    assert {held(Levels(5), target)[0][0] for target in np.linspace(0, 1, 41)} == {0, 0.25, 0.5, 0.75, 1}
    agree(held(Levels(5, tolerance=0.06), 0.55)[0], 0.5, 0.06 / math.sqrt(3))
    low = held(Levels(5, tolerance=0.06), 0.1)[0]
    assert low.min() == 0
    agree(low, 0.06 / 4, 0.06 * math.sqrt(1 / 6 - 1 / 16))


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_faults(scale: float) -> None:
    programmed = held(Faults(low=0.1, high=0.02), 0.5, scale=scale)[0]
    for value, probability in ((0.0, 0.1 * scale), (1.0, 0.02 * scale)):
        agree((programmed == value).astype(float), probability, math.sqrt(probability * (1 - probability)))
    assert set(np.unique(programmed)) == {0, 0.5, 1}
