"""The registry of devices, their parameters, and the cells that they are in."""

import dataclasses
import math

import numpy as np
import pytest

from nmtool.errors import UsageError
from nmtool.noise import NOISE_MODELS
from nmtool.noise.cell import Cell
from nmtool.noise.devices import DEVICES
from nmtool.noise.devices.drift import Drift
from nmtool.noise.devices.pcm import Pcm
from nmtool.noise.numpy_chip import NumpyChip

WEIGHTS = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)
REFUSED = {
    "additive": [{"std": -0.1}, {"std": math.nan}, {"std": "0.1"}, {"drawn": "read"}],
    "drift": [{"nu": math.inf}, {"nu_std": -1}, {"t0": 0}],
    "faults": [{"low": 1.1}, {"high": -0.1}, {"low": 0.6, "high": 0.6}],
    "hermes": [{"parallel": 3}, {"drifting": -1}],
    "levels": [{"levels": 1}, {"levels": 2.5}, {"tolerance": -0.1}],
    "lognormal-spread": [{"std": -0.1}],
    "multiplicative": [{"std": -0.1}],
    "mzi": [{"phase": -1}, {"phase": 4}],
    "pcm": [{"t0": 0}, {"programming": -1}, {"reading": math.inf}],
    "polynomial": [{"coefficients": (0.1,)}, {"coefficients": 0.1}, {"coefficients": (0.1, math.nan)}],
    "reram-cmo": [{"acceptance": 1}, {"relaxing": -1}],
    "reram-wan": [{"programming": -1}],
    "sram": [{"mismatch": 2}, {"bits": 0}, {"bits": 7.5}],
    "uniform": [{"width": -1}],
}


def test_every_device_says_what_it_is() -> None:
    taken = {field.name for field in dataclasses.fields(Cell)}
    assert not set(DEVICES) & set(NOISE_MODELS)
    for name, device in DEVICES.items():
        text, fields = device.__doc__ or "", dataclasses.fields(device)
        assert device.name == name
        assert all(f" {field.name}: " in text for field in fields), name
        assert not taken & {field.name for field in fields}, f"{name} would hide a setting of its cell"
        assert hash(device()) == hash(device())


@pytest.mark.parametrize(("name", "settings"), [(name, each) for name in DEVICES for each in REFUSED[name]])
def test_settings_out_of_range_are_named(name: str, settings: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refused:
        DEVICES[name](**settings)
    assert f"`{name}`" in str(refused.value)
    assert any(key in str(refused.value) or key == "coefficients" for key in settings)


def test_conductances_need_pairs() -> None:
    with pytest.raises(UsageError, match="device `pcm` holds conductances"):
        Cell((Drift(), Pcm()), pairs=False)


@pytest.mark.parametrize("compensation", ["array", "channel"])
@pytest.mark.parametrize("pairs", [True, False])
def test_compensation_undoes_drift_that_all_devices_share(pairs: bool, compensation: str) -> None:
    cell = Cell((Drift(nu=0.1, nu_std=0),), pairs=pairs, compensation=compensation)
    drifted = dataclasses.replace(cell, compensation="none").perturb(WEIGHTS, NumpyChip(1, 2, time=1e6), (1,))
    np.testing.assert_allclose(drifted, WEIGHTS * (1e6 + 1) ** -0.1, rtol=1e-5)
    np.testing.assert_allclose(cell.perturb(WEIGHTS, NumpyChip(1, 2, time=1e6), (1,)), WEIGHTS, rtol=1e-5)


def test_read_out_noise_of_the_compensation_is_one_factor_for_what_it_compensates() -> None:
    cell = Cell((Drift(nu_std=0),), compensation="channel", readout_noise=0.1)
    ratio = cell.perturb(WEIGHTS, NumpyChip(1, 2, time=1e6), (1,)) / WEIGHTS
    np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones(8), rtol=1e-5)
    assert np.ptp(ratio[:, 0]) > 0.01


def test_chips_differ_in_what_is_programmed_and_runs_in_what_is_read() -> None:
    def held(device: Pcm, trial: int, run: int) -> np.ndarray:
        return Cell((device,)).perturb(WEIGHTS, NumpyChip(1, 2, trial=trial, run=run, time=1e4))

    unread, unprogrammed = Pcm(reading=0), Pcm(programming=0, drifting=0)
    np.testing.assert_array_equal(held(unread, 0, 0), held(unread, 0, 1))
    assert np.std(held(unread, 0, 0) - held(unread, 1, 0)) > 0.01
    np.testing.assert_array_equal(held(unprogrammed, 0, 0), held(unprogrammed, 1, 0))
    assert np.std(held(unprogrammed, 0, 0) - held(unprogrammed, 0, 1)) > 0.01
