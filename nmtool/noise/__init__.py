"""Noise models, one per file, and the numpy reference of the noise itself."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, cast

from nmtool.errors import UsageError
from nmtool.noise.base import NoiseModel
from nmtool.noise.cell import Cell
from nmtool.noise.device import Device
from nmtool.noise.devices import DEVICES
from nmtool.noise.gaussian import Gaussian
from nmtool.noise.lognormal import Lognormal
from nmtool.noise.stuck import Stuck

NOISE_MODELS: dict[str, type[Gaussian] | type[Lognormal] | type[Stuck]] = {
    model.name: model for model in (Gaussian, Lognormal, Stuck)
}


def noise_model(name: str, parameters: Mapping[str, Any]) -> NoiseModel | Cell:
    """Build the noise model called `name`, or cells with one device of that name.

    Args:
        name: of a noise model, of a device, or "cell".
        parameters: of it; those of a device and of its cells together. "devices" of "cell" are mappings with "name".

    Raises:
        UsageError: no such model, a parameter that it does not have, or a value out of range.
    """
    if name in DEVICES:
        cell, device = (
            {key: value for key, value in parameters.items() if (key in _fields(Cell)) == of_cell}
            for of_cell in (True, False)
        )
        return Cell(**cell, devices=(_made("device", DEVICES, name, device),))
    if name == Cell.name:
        devices = tuple(_device(each) for each in parameters.get("devices", ()))
        return cast(Cell, _made("noise model", {name: Cell}, name, {**parameters, "devices": devices}))
    known: dict[str, Any] = {**NOISE_MODELS, **dict.fromkeys(DEVICES)}
    return cast(NoiseModel, _made("noise model", NOISE_MODELS, name, parameters, known))


def _device(settings: Mapping[str, Any]) -> Device:
    rest = dict(settings)
    return cast(Device, _made("device", DEVICES, str(rest.pop("name", "")), rest))


def _made(
    kind: str,
    registry: Mapping[str, type[Any]],
    name: str,
    parameters: Mapping[str, Any],
    known: Mapping[str, Any] | None = None,
) -> Any:
    """An instance of the class called `name`, with these parameters."""
    if name not in registry:
        names = list(known or registry)
        close = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {close[0]}?" if close else f"one of: {', '.join(names)}"
        raise UsageError(f"no {kind} is called {name!r}", hint)
    fields = _fields(registry[name])
    if unknown := sorted(set(parameters) - fields.keys()):
        raise UsageError(f"{kind} `{name}` has no parameter {', '.join(unknown)}", hint=f"it has: {', '.join(fields)}")
    return registry[name](**parameters)


def _fields(model: type[Any]) -> dict[str, Any]:
    return {field.name: field for field in dataclasses.fields(model)}


def resolved(noise: str | NoiseModel | Cell, eta: float | None, relative_to: str | None) -> NoiseModel | Cell:
    """A noise model from what a verb is given.

    Args:
        noise: a noise model, which is taken as it is, or the name of one.
        eta: its strength, for a name; None: the model's default.
        relative_to: what eta is relative to, for a name; None: the model's default.

    Raises:
        UsageError: see `noise_model`.
    """
    if not isinstance(noise, str):
        return noise
    given = {"eta": eta, "relative_to": relative_to}
    return noise_model(noise, {name: value for name, value in given.items() if value is not None})


def at_strength_one(noise: str | NoiseModel | Cell, relative_to: str | None) -> NoiseModel | Cell:
    """The noise for verbs that set its strength by the scale: eta 1.

    Args:
        noise: a noise model, or the name of one.
        relative_to: what eta is relative to, for a name; None: the model's default.

    Raises:
        UsageError: see `noise_model`.
    """
    return cast("NoiseModel | Cell", dataclasses.replace(cast(Any, resolved(noise, 1.0, relative_to)), eta=1.0))
