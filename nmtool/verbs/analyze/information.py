"""How many bits about the input, and about the label, the decisions of a noisy classifier hold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from nmtool.analysis.classes import (
    Information,
    Int64,
    chip_information,
    entropy,
    label_chip_information,
    label_information,
    read_information,
)
from nmtool.backends import Array
from nmtool.data import Batch
from nmtool.errors import UsageError
from nmtool.metrics import class_numbers
from nmtool.verbs.analyze.journal import Journal
from nmtool.verbs.analyze.subject import Progress
from nmtool.verbs.sweep.evaluate import Evaluator, Evaluators
from nmtool.verbs.sweep.models import NoisyModel
from nmtool.verbs.sweep.statistics import student_t

_FEWEST = 4  # draws at which convergence is looked at first


@dataclass(frozen=True)
class Bits:
    """A model at a strength of the noise.

    Attributes:
        eta: the strength.
        trials: noise samples.
        read: I(X; Y) of noise that is drawn at each inference.
        chip: I(X; Y | chip) of noise that is drawn once, given the chip.
        label: I(label; Y) of noise that is drawn at each inference; None without labels.
        label_chip: I(label; Y | chip).
        low: lower end of the 95 % interval of `read` over noise samples, None for a single one.
        high: upper end.
        accuracy: share of decisions that are the label.
    """

    eta: float
    trials: int
    read: float
    chip: float
    label: float | None
    label_chip: float | None
    low: float | None
    high: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Curve:
    """A model.

    Attributes:
        name: its label.
        points: by strength of the noise, increasing.
        convergence: at the strongest noise, I(X; Y) of the first noise samples, by how many these are.
    """

    name: str
    points: Sequence[Bits]
    convergence: Mapping[int, Information]


@dataclass(frozen=True)
class Labels:
    """What the data says about itself.

    Attributes:
        samples: how many.
        entropy: of the labels, in bits; None without labels.
    """

    samples: int
    entropy: float | None

    @property
    def input_bits(self) -> float:
        """The most that anything can know about the input: log2 of the number of samples."""
        return math.log2(self.samples)


def curves(
    models: Sequence[NoisyModel],
    evaluators: Evaluators,
    etas: Sequence[float],
    draws: int,
    journal: Journal,
    progress: Progress,
) -> tuple[Sequence[Curve], Labels]:
    """Measure models.

    Args:
        models: the models.
        evaluators: their sessions.
        etas: strengths of the noise, increasing.
        draws: noise samples at each.
        journal: of measurements.
        progress: called after each noise sample.

    Raises:
        UsageError: an output is not one row of scores per sample, or the labels are no class numbers.
    """
    total, done, found, known = len(models) * len(etas) * draws, 0, [], Labels(0, None)
    for model in models:
        evaluator = evaluators.get(model)
        setting = asdict(evaluator.setting())
        batches = list(evaluator.outputs(0, 0.0))
        classes = _classes(evaluator, batches[0][1].shape)
        labels = _labels(batches)
        known = Labels(setting["samples"], None if labels is None else _entropy(labels))
        points, decided = [], np.zeros((0, 0), np.int64)
        for eta in etas:
            scale, wanted = model.scale(eta), draws if eta else 1
            rows = []
            for trial in range(wanted):
                point = {"part": "decisions", "scale": scale, "trial": trial}
                rows.append(
                    journal.measured(setting, point, lambda: _decisions(evaluator, trial, scale))  # noqa: B023
                )
                done += 1 if eta else draws
                progress(done, total, "information")
            decided = np.array(rows, np.int64)
            points.append(_bits(eta, decided, labels, classes))
        counts = [count for k in range(32) if _FEWEST << k < len(decided) for count in [_FEWEST << k]] + [len(decided)]
        found.append(Curve(model.label, points, {n: read_information(decided[:n], classes) for n in counts}))
    return found, known


def _decisions(evaluator: Evaluator, trial: int, scale: float) -> list[int]:
    return [int(choice) for _, output in evaluator.outputs(trial, scale) for choice in output.argmax(axis=-1)]


def _bits(eta: float, decided: Int64, labels: Int64 | None, classes: int) -> Bits:
    read, chip, draws = read_information(decided, classes), chip_information(decided, classes), len(decided)
    half = None if read.std is None else student_t(draws - 1) * read.std
    return Bits(
        eta,
        draws,
        read.bits,
        chip.bits,
        None if labels is None else label_information(decided, labels, classes).bits,
        None if labels is None else label_chip_information(decided, labels, classes).bits,
        None if half is None else max(0.0, read.bits - half),
        None if half is None else read.bits + half,
        None if labels is None else float((decided == labels).mean()),
    )


def _classes(evaluator: Evaluator, shape: tuple[int, ...]) -> int:
    if len(shape) != 2 or shape[1] < 2:
        raise UsageError(
            f"{evaluator.model.label} is no classifier: its output is {list(shape)}, not [samples, classes]",
            hint="leave out --part information, or choose another output",
        )
    return shape[1]


def _labels(batches: Sequence[tuple[Batch, Array]]) -> Int64 | None:
    """Class numbers of all samples; None without labels."""
    numbers = [class_numbers(batch.labels, y.shape) for batch, y in batches if batch.labels is not None]
    return np.concatenate(numbers) if numbers else None


def _entropy(labels: Int64) -> float:
    _, counts = np.unique(labels, return_counts=True)
    return float(entropy(counts / counts.sum()))
