"""Noise models, one per file, and the numpy reference of the noise itself."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from nmtool.errors import UsageError
from nmtool.noise.base import NoiseModel
from nmtool.noise.cell import Cell
from nmtool.noise.device import Device
from nmtool.noise.devices import DEVICES
from nmtool.noise.gaussian import Gaussian
from nmtool.noise.lognormal import Lognormal
from nmtool.noise.stuck import Stuck
from nmtool.table import build

__all__ = ["DEVICES", "NOISE_MODELS", "Gaussian", "Lognormal", "Stuck", "noise_model"]

NOISE_MODELS: dict[str, type[Gaussian] | type[Lognormal] | type[Stuck]] = {
    model.name: model for model in (Gaussian, Lognormal, Stuck)
}


def noise_model(name: str, parameters: Mapping[str, Any]) -> NoiseModel | Cell:
    """Build the noise model called `name`, or cells with one device of that name.

    Args:
        name: of a noise model, of a device, or "cell".
        parameters: of it; those of a device and of its cells together. "devices" of "cell" are mappings with "name".

    Raises:
        UsageError: no such model, a parameter that it does not have, or a value of another type or out of range.
    """
    if name in NOISE_MODELS:
        return build(NOISE_MODELS[name], parameters, f"noise model `{name}`")
    if name in DEVICES:
        of_cell = {field.name for field in dataclasses.fields(Cell)}
        cell = {key: value for key, value in parameters.items() if key in of_cell}
        device = {key: value for key, value in parameters.items() if key not in of_cell}
        return build(Cell, {**cell, "devices": (_device({"name": name, **device}),)}, f"noise model `{name}`")
    if name == Cell.name:
        devices = parameters.get("devices", ())
        if not isinstance(devices, list | tuple) or not all(isinstance(each, Mapping) for each in devices):
            raise UsageError(
                f"devices must be tables with a name, not {devices!r}", hint='devices = [{ name = "pcm" }]'
            )
        return build(Cell, {**parameters, "devices": tuple(map(_device, devices))}, "the cell")
    raise UsageError(f"no noise model is called {name!r}", _near(name, [*NOISE_MODELS, *DEVICES]))


def _device(settings: Mapping[str, Any]) -> Device:
    name = settings.get("name", "")
    if name not in DEVICES:
        raise UsageError(f"no device is called {name!r}", _near(str(name), DEVICES))
    return build(DEVICES[name], {key: value for key, value in settings.items() if key != "name"}, f"device `{name}`")


def _near(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"one of: {', '.join(known)}"
