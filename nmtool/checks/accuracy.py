"""Metrics under noise: what a gate is measured with, and when it is decided."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nmtool.checks.gates import Gate
from nmtool.checks.statistics import one_sided_bounds
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError, SetupError, UsageError
from nmtool.hardware import at_strength_one
from nmtool.metrics import find
from nmtool.noise.gaussian import Gaussian
from nmtool.verbs.sweep.evaluate import Evaluator, Measurement
from nmtool.verbs.sweep.models import prepare
from nmtool.verbs.sweep.plan import Point

_FIRST_LOOK = 5  # trials


@dataclass(frozen=True)
class Verdict:
    """What became of a gate.

    Attributes:
        decision: None where the bounds still hold the gate's own.
        mean: of the metric.
        low: lower bound of the mean.
        high: upper bound.
        trials: that it took.
    """

    decision: Literal["passed", "failed"] | None
    mean: float
    low: float
    high: float
    trials: int


def looks(max_trials: int) -> list[int]:
    """After how many trials a gate is looked at: 5, 10, 20, … and at the end."""
    doubling = itertools.takewhile(lambda count: count < max_trials, (_FIRST_LOOK << k for k in itertools.count()))
    return [*doubling, max_trials]


def decide(gate: Gate, value: Callable[[int], float], max_trials: int, alpha: float) -> Verdict:
    """Measure until a one-sided confidence bound of the mean is past the gate's bound, on either side.

    Each look may err with alpha divided by the number of looks (Bonferroni), so the chance that a gate passes whose
    true mean is not past the bound is at most alpha, and so is that of the opposite.

    Args:
        gate: the condition.
        value: measures the metric in a trial.
        max_trials: when to give up, at least 2.
        alpha: of each of the two errors.
    """
    values: list[float] = []
    stops = looks(max_trials)
    for stop in stops:
        values += [value(trial) for trial in range(len(values), stop)]
        mean = sum(values) / len(values)
        if not math.isfinite(mean):
            return Verdict("failed", mean, mean, mean, len(values))
        low, high = one_sided_bounds(values, alpha / len(stops))
        good, bad = (low, high) if gate.relation == ">=" else (high, low)
        decision: Literal["passed", "failed"] | None = None
        if holds(gate, good):
            decision = "passed"
        elif not holds(gate, bad):
            decision = "failed"
        if decision is not None or stop == max_trials:
            break
    return Verdict(decision, mean, low, high, len(values))


def holds(gate: Gate, value: float) -> bool:
    """Whether a value of the metric is on the good side."""
    return value >= gate.bound if gate.relation == ">=" else value <= gate.bound


def strength(subject: Subject, gate: Gate) -> float:
    """The noise that a gate is about: its own, that of the check, or that of the model.

    Raises:
        UsageError: none is given.
    """
    if gate.eta is not None:
        return gate.eta
    if subject.record is not None:
        return subject.record.eta
    if subject.request.noise is None:
        raise UsageError(f"gate {gate} has no strength of the noise", hint=f"write {gate}@eta=0.05, or give --eta")
    return subject.request.noise.eta


def validate(subject: Subject) -> None:
    """Find what is wrong with the gates themselves before anything else is checked.

    The metric is tried on the first batch without noise. A model that cannot be read or run is left to the rules.

    Raises:
        UsageError: there is no such metric, no data, no labels where the metric needs them, no noise that can be
            scaled, or the metric does not fit the outputs or the labels.
    """
    for gate in subject.request.gates:
        metric = find(gate.metric)
        try:
            eta, record, data = strength(subject, gate), subject.record, subject.data
            if data is None:
                raise UsageError(f"gate {gate} needs data", hint="give some with --data")
            if record is not None and eta > 0 and (record.fresh or record.eta <= 0):
                why = "draws its noise by itself" if record.fresh else f"was made noisy with eta {record.eta:g}"
                raise UsageError(f"gate {gate} cannot be measured: the model {why}", hint="check the source model")
            if metric.needs_labels and data.labels is None:
                raise UsageError(f"gate {gate} needs labels, the data has none", hint="name them with --labels")
            runner, batch, total = subject.on("onnxruntime", "clean"), next(iter(data)), metric.start()
            (output,) = runner.run([runner.output(None)], batch.feeds, 0, 0.0)
            total.add(batch.cut(output), batch.labels, batch.cut(output))
            total.value()
        except (ModelError, SetupError):
            return


class Meter:
    """Measures metrics of a subject under noise; sessions are opened once."""

    def __init__(self, subject: Subject, folder: Path) -> None:
        """Prepare the model.

        Args:
            subject: what is checked. Without noise of its own it gets that of the request, or Gaussian noise.
            folder: for temporary files; must exist as long as this.

        Raises:
            UsageError: the noise cannot be scaled.
            ModelError: the model cannot be made noisy.
        """
        request = subject.request
        self._subject = subject
        if subject.record is None:
            noise = at_strength_one(request.noise or "gaussian", None)
            (self._model,) = prepare(request.model, folder, request.seed, {"": noise}, request.placement)
        else:
            (self._model,) = prepare(request.model, folder, 0, {"": Gaussian()}, {})
        self._evaluators: dict[str, Evaluator] = {}

    def measure(self, metric: str, eta: float, trial: int) -> float:
        """The metric over the data at a strength of the noise, in one trial.

        Raises:
            UsageError: the data does not fit.
            ModelError: the runtime failed.
        """
        if metric not in self._evaluators:
            request = self._subject.request
            if request.data is None:
                raise UsageError("there is no data to measure on", hint="give some with --data")
            options = {"custom_ops": request.custom_ops} if request.custom_ops else {}
            measurement = Measurement(request.data, request.data_options, metric, None, "set", "onnxruntime", options)
            self._evaluators[metric] = Evaluator(measurement, self._model)
        return self._evaluators[metric].evaluate(Point(self._model.label, eta, trial))

    @property
    def reproducible(self) -> bool:
        """Whether a trial is one draw for the whole data set."""
        return self._model.provenance.exact or all(each.library for each in self._evaluators.values())
