"""The device of CONTRIBUTING.md is one file and one line: as printed, it works wherever devices do."""

import re
from pathlib import Path

import numpy as np
import pytest
from cells import TIME, feeds, in_numpy, in_onnx, weights
from running import run_ort, run_reference

from nmtool.errors import UsageError
from nmtool.noise import noise_model
from nmtool.noise.base import Channels
from nmtool.noise.cell import Cell
from nmtool.noise.device import Device
from nmtool.noise.devices import DEVICES

PAGE = Path(__file__).parents[3] / "CONTRIBUTING.md"


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> type[Device]:
    """The class that the page's file defines, in the registry."""
    (text,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    module: dict[str, type[Device]] = {}
    exec(text, module)
    monkeypatch.setitem(DEVICES, "floating-gate", module["FloatingGate"])
    return module["FloatingGate"]


def test_the_example_computes_what_it_says(device: type[Device]) -> None:
    cell = noise_model("floating-gate", {"std": 0.0, "tau": 1e6})
    assert isinstance(cell, Cell)
    w, channels = weights((6, 7)), Channels(0)
    expected = w * np.exp(-np.sqrt(TIME / 1e6))
    np.testing.assert_allclose(in_numpy(cell, w, channels), expected, rtol=1e-5)
    proto = in_onnx(Cell((device(),)), w.shape, channels)
    for run in (run_ort, run_reference):
        np.testing.assert_allclose(
            run(proto, feeds(proto, w))[0], in_numpy(Cell((device(),)), w, channels), atol=2e-6 * np.abs(w).max()
        )


def test_the_example_refuses_what_it_must(device: type[Device]) -> None:
    with pytest.raises(UsageError, match="beta of device `floating-gate` must be a finite number from 0 to 1, not 2"):
        noise_model("floating-gate", {"beta": 2})
