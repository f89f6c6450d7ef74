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
_WIDE = 10  # the middle half of an element's values spreads over as many roundings: their shifts do not show
_DISAGREEMENTS = 4  # what runtimes differ by without noise, so many times, is no effect of noise either


@dataclass(frozen=True)
class Effect:
    """The outputs of one runtime under noise, less its outputs without.

    Subtracting what the runtime itself computes without noise leaves the noise: that runtimes round differently is no
    difference of their noise.

    Attributes:
        values: trials by elements of the outputs.
        clean: the elements without noise.
    """

    values: Float64
    clean: Float64


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
        return Effect(values - clean[columns], clean[columns])


def visible(sides: Sequence[Effect]) -> Array:
    """Which elements the noise changes on some runtime by more than rounding, and leaves finite on all."""
    values = np.concatenate([side.values for side in sides])
    finite = np.isfinite(values).all(axis=0)
    spread = np.where(finite, values, 0.0).std(axis=0)
    chosen: Array = finite & (spread > _rounding(sides))
    return chosen


def comparable(sides: Sequence[Effect]) -> list[Float64]:
    """The values of the visible elements, without what is rounding.

    Where a runtime has 0 and another 1e-39, as behind saturated gates, they have the same value. Where there are any,
    only elements that vary in most trials are taken: behind a score that noise takes to 0 nearly always, the subtracted
    output without noise is nearly all there is, and runtimes round it differently.
    """
    chosen, step = visible(sides), _rounding(sides)
    values = np.concatenate([side.values for side in sides])
    low, high = np.percentile(np.where(chosen, values, 0.0), (25, 75), axis=0)
    wide = chosen & (high - low > _WIDE * step)
    chosen = wide if wide.any() else chosen
    return [np.round(side.values[:, chosen] / step) * step if step else side.values[:, chosen] for side in sides]


def _rounding(sides: Sequence[Effect]) -> float:
    """Differences that are no effect of the noise.

    In a deep network they are far larger than a rounding: what two runtimes differ by without noise tells by how much.
    """
    clean = np.stack([side.clean for side in sides])
    clean = clean[:, np.isfinite(clean).all(axis=0)]
    disagreement = np.ptp(clean, axis=0).max(initial=0.0)
    return max(_VISIBLE * float(np.abs(clean).max(initial=0.0)), _DISAGREEMENTS * float(disagreement))


def _flat(runner: NoisyRunner, outputs: Sequence[str], feeds: Mapping[str, Array], trial: int, scale: float) -> Float64:
    """All real outputs in a row; integers where there are no real ones."""
    results = runner.run(outputs, feeds, trial, scale)
    chosen = [each for each in results if is_floating(each)] or [each for each in results if each.dtype.kind in "iub"]
    if not any(each.size for each in chosen):
        raise ModelError("it has no numbers as outputs", hint="add an output of numbers to the model")
    return np.concatenate([each.reshape(-1).astype(np.float64) for each in chosen])
