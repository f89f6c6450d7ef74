"""How much each layer's noise costs: measured by Monte-Carlo, and estimated from gradients."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nmtool.analysis.ranks import rank_correlation
from nmtool.backends import Array
from nmtool.backends.ports import ports
from nmtool.data import load as load_data
from nmtool.errors import ModelError, SetupError, UsageError
from nmtool.interpreter import require_torch
from nmtool.metrics import find
from nmtool.ops import LAYERS, RUN, SCALE, TRIAL
from nmtool.verbs.analyze.subject import Layer, Progress, Subject
from nmtool.verbs.sweep.statistics import Summary

_SAMPLES = 8  # of a backward pass: many small batches tell more than a few large ones
_FLAT = 1e-9  # nats; a softmax of scores in the hundreds has no slope that tells layers apart
_CLASSES = ("top", "agreement")  # metrics of classes


@dataclass(frozen=True)
class Sensitivity:
    """A layer and what its noise does.

    Attributes:
        layer: the layer.
        only: the metric with noise in this layer alone; None where the budget left it out.
        all_but: the metric with noise in all other layers.
        gradient: first-order estimate of what the layer's noise alone does: nats of divergence for metrics of classes,
            else the mean squared change of the output. None where there is none.
        rank: 1 is the most sensitive layer.
    """

    layer: Layer
    only: Summary | None
    all_but: Summary | None
    gradient: float | None
    rank: int


@dataclass(frozen=True)
class Sensitivities:
    """All layers, the most sensitive first.

    Attributes:
        layers: one entry for each.
        rank_correlation: Spearman's of gradients and the loss of the metric; None where there are too few.
    """

    layers: Sequence[Sensitivity]
    rank_correlation: float | None


def sensitivities(
    subject: Subject, trials: int, budget: int | None, passes: int, notes: list[str], progress: Progress
) -> Sensitivities:
    """Measure each layer.

    Args:
        subject: the model.
        trials: of each measurement.
        budget: measure only so many layers, those with the largest estimates; None: all.
        passes: backward passes of the estimate; 0: none.
        notes: gets what could not be done.
        progress: called after each measurement.

    Raises:
        UsageError: there is a budget, but no estimate to spend it by.
    """
    gradients = estimates(subject, passes, notes, progress)
    everything = range(len(subject.layers))
    measured = list(everything)
    if budget is not None and budget < len(measured):
        if gradients is None:
            raise UsageError(
                "a budget needs the estimate from gradients", hint=notes[-1] if notes else "--gradient 128"
            )
        measured = sorted(everything, key=lambda number: -gradients[number])[:budget]
    patterns = [pattern for number in measured for pattern in ({number}, set(everything) - {number})]
    measure_all(subject, [set(everything), *patterns], trials, "sensitivity", progress)
    only = {number: subject.summary(trials, {number}) for number in measured}
    rest = {number: subject.summary(trials, set(everything) - {number}) for number in measured}
    clean, sign = subject.metric(0, ()), 1 if find(subject.setting()["metric"]).higher_is_better else -1
    losses = {number: sign * (clean - only[number].mean) for number in measured}
    order = sorted(
        everything,
        key=lambda number: (number not in losses, -losses.get(number, 0.0), -(gradients[number] if gradients else 0.0)),
    )
    correlation = None
    if gradients is not None:
        correlation = rank_correlation([gradients[number] for number in measured], [losses[n] for n in measured])
    return Sensitivities(
        [
            Sensitivity(
                subject.layers[number],
                only.get(number),
                rest.get(number),
                None if gradients is None else gradients[number],
                rank,
            )
            for rank, number in enumerate(order, start=1)
        ],
        correlation,
    )


def measure_all(
    subject: Subject,
    patterns: Sequence[set[int]],
    trials: int,
    part: str,
    progress: Progress,
    metric: str | None = None,
) -> None:
    """Measure the metric with noise in sets of layers, trial by trial, so that what is interrupted covers them all."""
    clean: tuple[int, set[int]] = (0, set())
    cases = [clean, *((trial, pattern) for trial in range(trials) for pattern in patterns)]
    subject.metrics(cases, metric, progress, part)


def estimates(subject: Subject, passes: int, notes: list[str], progress: Progress) -> list[float] | None:
    """The first-order estimate of each layer; None, with a note, where torch cannot make it."""
    if passes == 0:
        return None
    try:
        require_torch()
        point = {"part": "gradient", "passes": passes, "samples": _SAMPLES, "scale": subject.scale}
        values = subject.journal.measured(subject.setting(), point, lambda: _estimated(subject, passes, progress))
    except (ModelError, SetupError) as error:
        notes.append(f"no estimate from gradients: {error.message}")
        return None
    if not max(values) > _FLAT:
        notes.append(
            "no estimate from gradients: predictions are saturated, or the noise has no slope; try --metric mse"
        )
        return None
    return [float(value) for value in values]


def _estimated(subject: Subject, passes: int, progress: Progress) -> list[float]:
    from nmtool.interpreter.effects import layer_effects

    names, defaults = subject.inputs, subject.model.graph.initializers
    noise: dict[str, Array] = {name: np.asarray(defaults[name].const_value) for name in names.values()}
    noise[names[SCALE]] = np.array(subject.scale, np.float32)
    wanted = [port for port in ports(subject.model, any_batch=True) if port.name not in noise]
    dataset = load_data(subject.measurement.data, wanted, subject.measurement.data_options)

    def samples() -> Iterator[Mapping[str, Array]]:
        for number in range(passes):
            drawn = {names[kind]: np.array(number, np.int64) for kind in (TRIAL, RUN) if kind in names}
            yield {**dataset.take((np.arange(_SAMPLES) + number * _SAMPLES) % dataset.count).feeds, **drawn}
            progress(number + 1, passes, "gradients")

    effects = layer_effects(
        subject.model,
        samples(),
        noise,
        names[LAYERS],
        subject.setting()["output"],
        classes=subject.setting()["metric"].startswith(_CLASSES),
        seed=subject.seed,
    )
    return [float(effect) for effect in effects]
