"""Noise models, one per file, and the numpy reference of the noise itself."""

import difflib
from collections.abc import Mapping
from typing import Any

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
