"""Which layers should stay digital, so that a gate holds at the least cost."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from nmtool.checks.accuracy import holds
from nmtool.checks.gates import Gate
from nmtool.errors import UsageError
from nmtool.hardware import Hardware
from nmtool.hardware.profile import load
from nmtool.verbs.analyze.profile import profile, require_profile
from nmtool.verbs.analyze.sensitivity import measure_all
from nmtool.verbs.analyze.subject import Progress, Subject
from nmtool.verbs.sweep.experiment import sweep
from nmtool.verbs.sweep.statistics import Summary

Cost = Literal["macs", "weights"]


@dataclass(frozen=True)
class Step:
    """A step of the search.

    Attributes:
        layers: the nodes that it moved.
        action: where to; "start": all are analog.
        metric: what was measured then.
        mac_share: share of the model's multiply-accumulates that is analog; None where it is not known.
        weight_share: share of its weights that is.
    """

    layers: Sequence[str]
    action: Literal["start", "digital", "analog"]
    metric: Summary
    mac_share: float | None
    weight_share: float


@dataclass(frozen=True)
class Precision:
    """The advice.

    Attributes:
        gate: that is to hold.
        cost: what was saved.
        met: whether it holds, with 95 % confidence, in the confirmation.
        digital: nodes to keep digital, in graph order.
        steps: how it was found.
        confirmation: the metric of the profile under noise that the search has not seen; None where nothing is analog.
        profile: the profile, as TOML has it.
    """

    gate: Gate
    cost: Cost
    met: bool
    digital: Sequence[str]
    steps: Sequence[Step]
    confirmation: Summary | None
    profile: dict[str, Any]


def advise(
    subject: Subject,
    gate: Gate,
    cost: Cost,
    trials: int,
    injection: dict[str, Any],
    notes: list[str],
    progress: Progress,
) -> Precision:
    """Search for layers to keep digital.

    Greedy: while the gate does not hold, the layer goes digital that alone costs most of the metric for what it is
    worth in analog; then each that need not have gone comes back, the most expensive first. What is found is confirmed
    by a sweep with another seed, since the search has chosen by its own noise samples; while that fails, the next layer
    goes digital.

    Args:
        subject: the model.
        gate: a condition on a metric at the strength of the noise of the analysis.
        cost: what digital layers cost.
        trials: of each measurement, at least 2.
        injection: further options of `inject` for the confirmation.
        notes: gets what is worth knowing.
        progress: called after each measurement.

    Raises:
        UsageError: fewer than two trials, noise that no profile describes, or a gate at another strength.
    """
    if trials < 2:
        raise UsageError("advice needs an interval, and so at least 2 trials")
    if gate.eta is not None and gate.eta != subject.eta:
        raise UsageError(f"the gate is at eta {gate.eta:g}, the analysis at {subject.eta:g}", hint="give --eta")
    require_profile(subject)
    if cost == "macs" and any(layer.macs is None for layer in subject.layers):
        notes.append("the multiply-accumulates are not known: weights are counted instead")
        cost = "weights"
    search = _Search(subject, gate, cost, trials, progress)
    search.run()
    while True:
        table = profile(subject, search.nodes, f"digital layers by nmtool analyze, for {gate}")
        confirmation = _confirm(subject, gate, table, trials, injection, progress) if search.analog else None
        met = _passes(gate, confirmation or subject.summary(1, (), gate.metric))
        if met or not search.analog:
            break
        search.next_digital()
    if not met:
        notes.append(f"{gate} does not hold even where nothing is noisy: no layer is to blame")
    return Precision(gate, cost, met, search.nodes, search.steps, confirmation, table)


class _Search:
    """The search, over units of layers that can only go digital together.

    Attributes:
        steps: what was done.
    """

    def __init__(self, subject: Subject, gate: Gate, cost: Cost, trials: int, progress: Progress) -> None:
        self._subject, self._gate, self._trials, self._progress = subject, gate, trials, progress
        self._units = _units(subject)
        sizes = [(layer.macs or 0) if cost == "macs" else layer.weights for layer in subject.layers]
        self._costs = [max(1, sum(sizes[number] for number in unit)) for unit in self._units]
        self._digital: list[int] = []
        self.steps: list[Step] = []

    def run(self) -> None:
        """Find layers with which the gate holds on the noise samples of the search."""
        start = self._measure()
        self._record((), "start", start)
        if _passes(self._gate, start):
            return
        while self.analog and not self.next_digital():
            pass
        for unit in sorted(self._digital[:-1], key=lambda unit: -self._costs[unit]):
            self._digital.remove(unit)
            summary = self._measure()
            if _passes(self._gate, summary):
                self._record((unit,), "analog", summary)
            else:
                self._digital.append(unit)

    @property
    def analog(self) -> list[int]:
        """Units that are analog."""
        return [unit for unit in range(len(self._units)) if unit not in self._digital]

    @property
    def nodes(self) -> list[str]:
        """Nodes that are digital, in graph order."""
        return self._nodes(self._digital)

    def next_digital(self) -> bool:
        """Make the next unit digital; whether the gate then holds."""
        unit = next(unit for unit in self._order if unit not in self._digital)
        self._digital.append(unit)
        summary = self._measure()
        self._record((unit,), "digital", summary)
        return _passes(self._gate, summary)

    @functools.cached_property
    def _order(self) -> list[int]:
        """Units by what they alone cost of the metric, for what they are worth in analog."""
        subject, gate = self._subject, self._gate
        measure_all(subject, self._units, self._trials, "precision", self._progress, gate.metric)
        sign = 1 if gate.relation == ">=" else -1
        clean = subject.metric(0, (), gate.metric)
        means = [subject.summary(self._trials, unit, gate.metric).mean for unit in self._units]
        gains = [sign * (clean - mean) / cost for mean, cost in zip(means, self._costs, strict=True)]
        return sorted(range(len(gains)), key=lambda unit: -gains[unit])

    def _measure(self) -> Summary:
        noisy = {number for unit in self.analog for number in self._units[unit]}
        if not noisy:
            return self._subject.summary(1, (), self._gate.metric)
        measure_all(self._subject, [noisy], self._trials, "precision", self._progress, self._gate.metric)
        return self._subject.summary(self._trials, noisy, self._gate.metric)

    def _record(self, moved: Sequence[int], action: Literal["start", "digital", "analog"], metric: Summary) -> None:
        noisy = set(self._nodes(self.analog))
        rows = self._subject.coverage.nodes
        report = replace(
            self._subject.coverage,
            nodes=[replace(row, status="noisy" if row.name in noisy else "digital") for row in rows],
        )
        self.steps.append(Step(self._nodes(moved), action, metric, report.mac_share, report.weight_share))

    def _nodes(self, units: Sequence[int]) -> list[str]:
        numbers = sorted(number for unit in units for number in self._units[unit])
        return list(dict.fromkeys(node for number in numbers for node in self._subject.layers[number].nodes))


def _units(subject: Subject) -> list[set[int]]:
    """Layers that share nodes: a node is digital as a whole, and with it every node that uses one of its arrays."""
    units: list[tuple[set[int], set[str]]] = []
    for number, layer in enumerate(subject.layers):
        numbers, nodes = {number}, set(layer.nodes)
        apart = []
        for unit in units:
            if unit[1] & nodes:
                numbers, nodes = numbers | unit[0], nodes | unit[1]
            else:
                apart.append(unit)
        units = [*apart, (numbers, nodes)]
    return sorted((numbers for numbers, _ in units), key=min)


def _passes(gate: Gate, metric: Summary) -> bool:
    """Whether the gate holds at the end of the interval, or for the single value."""
    end = metric.low if gate.relation == ">=" else metric.high
    return holds(gate, metric.mean if end is None else end)


def _confirm(
    subject: Subject, gate: Gate, table: dict[str, Any], trials: int, injection: dict[str, Any], progress: Progress
) -> Summary:
    """The metric of the source on the hardware of the profile."""
    measurement = subject.measurement
    result = sweep(
        subject.source,
        measurement.data,
        etas=[Hardware.eta],
        noise=load(table),
        seed=subject.seed + 1,
        trials=trials,
        metric=gate.metric,
        output=measurement.output,
        executor=subject.workers,
        backend=measurement.backend,
        data_options=measurement.data_options,
        progress=lambda done, total: progress(done, total, "confirmation"),
        injection=injection,
        **measurement.backend_options,
    )
    return next(row.summary for row in result.summary() if row.eta > 0)
