"""The noise that a verb is given."""

import dataclasses
from typing import Any, cast

from nmtool.hardware.hardware import AnalogNoise, Hardware
from nmtool.noise import noise_model


def resolved(noise: str | AnalogNoise, eta: float | None, relative_to: str | None) -> AnalogNoise:
    """The noise of what a verb is given.

    Args:
        noise: noise, which is taken as it is, or the name of a noise model or device.
        eta: its strength, for a name; None: the model's default.
        relative_to: what eta is relative to, for a name; None: the model's default.

    Raises:
        UsageError: see `nmtool.noise.noise_model`.
    """
    if not isinstance(noise, str):
        return noise
    given = {"eta": eta, "relative_to": relative_to}
    return noise_model(noise, {name: value for name, value in given.items() if value is not None})


def at_strength_one(noise: str | AnalogNoise, relative_to: str | None) -> AnalogNoise:
    """The noise for verbs that set its strength by the scale: eta 1.

    Args:
        noise: noise, or the name of a noise model or device.
        relative_to: what eta is relative to, for a name; None: the model's default.

    Raises:
        UsageError: see `nmtool.noise.noise_model`.
    """
    chosen = resolved(noise, 1.0, relative_to)
    return (
        chosen if isinstance(chosen, Hardware) else cast(AnalogNoise, dataclasses.replace(cast(Any, chosen), eta=1.0))
    )


def strength(noise: AnalogNoise, eta: float | None) -> float:
    """The strength that a verb is given, or else the default of its noise: 0.05 of noise models, 1 of devices.

    Args:
        noise: of any strength.
        eta: what is given.
    """
    return float(cast(Any, type(noise)).eta) if eta is None else eta
