"""Signal and noise at the output of each layer."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nmtool import model as model_files
from nmtool.backends import Array
from nmtool.verbs.analyze.probe import SAMPLES, Probe, View
from nmtool.verbs.analyze.subject import Progress, Subject
from nmtool.verbs.sweep.evaluate import Measurement


@dataclass(frozen=True)
class Signal:
    """The output of a node with noisy weights.

    The power of a signal is its mean square over samples and elements, that of noise the mean square of the change.

    Attributes:
        node: its label.
        propagated_db: signal-to-noise ratio with noise in all layers, in dB; None where the output cannot be seen, or
            has no signal or no noise.
        injected_db: with noise in this layer alone.
    """

    node: str
    propagated_db: float | None
    injected_db: float | None

    @property
    def propagated_bits(self) -> float | None:
        """As effective bits."""
        return effective_bits(self.propagated_db)

    @property
    def injected_bits(self) -> float | None:
        """As effective bits."""
        return effective_bits(self.injected_db)


def effective_bits(db: float | None) -> float | None:
    """Bits of a converter that rounds off as much of a sine wave: (SNR - 1.76 dB) / 6.02 dB (IEEE Std 1241)."""
    return None if db is None else (db - 1.76) / 6.02


def signals(subject: Subject, trials: int, folder: Path, notes: list[str], progress: Progress) -> Sequence[Signal]:
    """Measure the layers, in graph order.

    Args:
        subject: the model.
        trials: noise samples.
        folder: for a temporary file.
        notes: gets what could not be seen.
        progress: called after each trial.

    Raises:
        ModelError: the runtime does not run the model with inner values as outputs.
    """
    points = {
        trial: (subject.setting(), {"part": "snr", "scale": subject.scale, "trial": trial, "samples": SAMPLES})
        for trial in range(trials)
    }
    work = _Looking(View.of(subject, folder), subject.measurement)
    measured = subject.gathered(work, points, progress, "signal and noise")
    powers: dict[str, Array] = {}
    for trial in range(trials):
        for node, each in measured[trial].items():
            powers[node] = powers.get(node, 0.0) + np.array(each)
    nodes = list(dict.fromkeys(node for layer in subject.layers for node in layer.nodes))
    if hidden := [node for node in nodes if node not in powers]:
        notes.append(f"signals inside subgraphs and functions cannot be seen: {', '.join(hidden)}")
    return [_signal(node, powers.get(node)) for node in nodes]


@dataclass(frozen=True)
class _Looking:
    """Work whose tasks are trials."""

    view: View
    measurement: Measurement

    @property
    def files(self) -> Sequence[Sequence[Path]]:
        """See Work."""
        return [model_files.files(self.view.file), *self.measurement.files]

    def open(self, locate: Callable[[Path], Path]) -> Callable[[int], dict[str, list[float]]]:
        """See Work."""
        view = replace(self.view, file=locate(self.view.file))
        return functools.partial(_powers, Probe(view, self.measurement.located(locate)))


def _powers(probe: Probe, trial: int) -> dict[str, list[float]]:
    """By node the sums of squares of the clean output, of the propagated noise and of the injected noise."""
    totals = {pair.node: np.zeros(3) for pair in probe.pairs}
    outputs, twins = [pair.output for pair in probe.pairs], [pair.twin for pair in probe.pairs]
    for number, batch in probe.batches():
        alone = probe.run([*outputs, *twins], number, batch, trial, noisy=False)
        propagated = probe.run(outputs, number, batch, trial, noisy=True)
        for pair, clean, noisy, twin in zip(
            probe.pairs, alone[: len(outputs)], propagated, alone[len(outputs) :], strict=True
        ):
            totals[pair.node] += [_power(clean), _power(noisy - clean), _power(twin - clean)]
    return {node: np.where(np.isfinite(total), total, 0.0).tolist() for node, total in totals.items()}


def _power(values: Array) -> float:
    return float(np.square(values, dtype=np.float64).sum())


def _signal(node: str, powers: Array | None) -> Signal:
    if powers is None:
        return Signal(node, None, None)
    signal, propagated, injected = powers
    return Signal(node, _decibels(signal, propagated), _decibels(signal, injected))


def _decibels(signal: float, noise: float) -> float | None:
    return 10 * math.log10(signal / noise) if 0 < signal < math.inf and 0 < noise < math.inf else None
