"""Noise models, one per file, and the numpy reference of the noise itself."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, cast

from nmtool.errors import UsageError
from nmtool.noise.base import NoiseModel
from nmtool.noise.gaussian import Gaussian
from nmtool.noise.lognormal import Lognormal
from nmtool.noise.stuck import Stuck

NOISE_MODELS: dict[str, type[Gaussian] | type[Lognormal] | type[Stuck]] = {
    model.name: model for model in (Gaussian, Lognormal, Stuck)
}


def noise_model(name: str, parameters: Mapping[str, Any]) -> NoiseModel:
    """Build the noise model called `name`.

    Raises:
        UsageError: no such model, a parameter that it does not have, or a value out of range.
    """
    if name not in NOISE_MODELS:
        close = difflib.get_close_matches(name, NOISE_MODELS, 1)
        hint = f"did you mean {close[0]}?" if close else f"one of: {', '.join(NOISE_MODELS)}"
        raise UsageError(f"no noise model is called {name!r}", hint)
    model = NOISE_MODELS[name]
    fields = model.__dataclass_fields__.keys()
    if unknown := sorted(set(parameters) - set(fields)):
        raise UsageError(
            f"noise model `{name}` has no parameter {', '.join(unknown)}", hint=f"it has: {', '.join(fields)}"
        )
    return model(**parameters)


def resolved(noise: str | NoiseModel, eta: float, relative_to: str | None) -> NoiseModel:
    """A noise model from what a verb is given.

    Args:
        noise: a noise model, which is taken as it is, or the name of one.
        eta: its strength, for a name.
        relative_to: what eta is relative to, for a name; None: the model's default.

    Raises:
        UsageError: see `noise_model`.
    """
    if not isinstance(noise, str):
        return noise
    return noise_model(noise, {"eta": eta} | ({} if relative_to is None else {"relative_to": relative_to}))


def at_strength_one(noise: str | NoiseModel, relative_to: str | None) -> NoiseModel:
    """The noise for verbs that set its strength by the scale: eta 1.

    Args:
        noise: a noise model, or the name of one.
        relative_to: what eta is relative to, for a name; None: the model's default.

    Raises:
        UsageError: see `noise_model`.
    """
    return cast(NoiseModel, dataclasses.replace(cast(Any, resolved(noise, 1.0, relative_to)), eta=1.0))
