"""What noise does to a model's outputs, trial by trial."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nmtool.backends import Array
from nmtool.checks.statistics import Float64
from nmtool.difference import is_floating
from nmtool.errors import ModelError
from nmtool.verbs.noisy import NoisyRunner

_COORDINATES = 4096  # elements of the outputs that are looked at, evenly spread over all
_VISIBLE = 1e-6  # relative to the largest output: several roundings of float32


@dataclass(frozen=True)
class Effect:
    """The outputs of one runtime under noise, less its outputs without.

    Subtracting what the runtime itself computes without noise leaves the noise: that runtimes round differently is no
    difference of their noise.

    Attributes:
        values: trials by elements of the outputs.
        size: of the outputs without noise, largest by element.
    """

    values: Float64
    size: Float64


def effect(
    runner: NoisyRunner,
    outputs: Sequence[str],
    feeds: Mapping[str, Array],
    trials: range,
    limit: float,
    progress: Callable[[int], None],
) -> Effect:
    """Run the trials.

    Args:
        runner: the noisy model on a runtime.
        outputs: those that are looked at.
        feeds: its inputs.
        trials: numbers of the noise samples. A model that takes none has another in each run, and skips as many runs
            as there are numbers before the first: sessions of one process may begin with the same random numbers.
        limit: seconds that all of it may take, judged by the second run.
        progress: called with the trials done.

    Raises:
        ModelError: the runtime failed or is too slow, or outputs change their shapes with the noise.
    """
    clean = _flat(runner, outputs, feeds, trials[0], 0.0)
    columns = np.unique(np.linspace(0, clean.size - 1, min(clean.size, _COORDINATES)).astype(int))
    values = np.empty((len(trials), len(columns)))
    for _ in range(0 if runner.takes_trial else trials.start):
        _flat(runner, outputs, feeds, 0, 1.0)
    for row, trial in enumerate(trials):
        start = time.monotonic()
        noisy = _flat(runner, outputs, feeds, trial, 1.0)
        if noisy.size != clean.size:
            raise ModelError("its outputs change their shapes with the noise", hint="check outputs of fixed shapes")
        values[row] = noisy[columns]
        if row == 0 and (needed := (time.monotonic() - start) * len(trials)) > limit:
            raise ModelError(
                f"{len(trials)} trials would take {needed:.0f} s, more than {limit:.0f} s", hint="give fewer --trials"
            )
        progress(row + 1)
    with np.errstate(invalid="ignore"):
        return Effect(values - clean[columns], np.abs(clean[columns]))


def visible(sides: Sequence[Effect]) -> Array:
    """Which elements the noise changes on some runtime by more than rounding, and leaves finite on all."""
    values = np.concatenate([side.values for side in sides])
    finite = np.isfinite(values).all(axis=0)
    spread = np.where(finite, values, 0.0).std(axis=0)
    chosen: Array = finite & (spread > _rounding(sides))
    return chosen


def comparable(sides: Sequence[Effect]) -> list[Float64]:
    """The values of the visible elements, without what is rounding.

    Where a runtime has 0 and another 1e-39, as behind saturated gates, they have the same value.
    """
    chosen, step = visible(sides), _rounding(sides)
    return [np.round(side.values[:, chosen] / step) * step if step else side.values[:, chosen] for side in sides]


def _rounding(sides: Sequence[Effect]) -> float:
    return _VISIBLE * max(float(side.size[np.isfinite(side.size)].max(initial=0.0)) for side in sides)


def _flat(runner: NoisyRunner, outputs: Sequence[str], feeds: Mapping[str, Array], trial: int, scale: float) -> Float64:
    """All real outputs in a row; integers where there are no real ones."""
    results = runner.run(outputs, feeds, trial, scale)
    chosen = [each for each in results if is_floating(each)] or [each for each in results if each.dtype.kind in "iub"]
    if not any(each.size for each in chosen):
        raise ModelError("it has no numbers as outputs", hint="add an output of numbers to the model")
    return np.concatenate([each.reshape(-1).astype(np.float64) for each in chosen])
