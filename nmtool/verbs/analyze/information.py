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
from nmtool.verbs.analyze.subject import Draw, Progress, Subject
from nmtool.verbs.sweep.evaluate import Evaluator, Evaluators
from nmtool.verbs.sweep.execute import Evaluation
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
    models: Sequence[NoisyModel], subject: Subject, etas: Sequence[float], draws: int, progress: Progress
) -> tuple[Sequence[Curve], Labels]:
    """Measure models.

    Args:
        models: the models.
        subject: the analysis that they are measured in.
        etas: strengths of the noise, increasing.
        draws: noise samples at each.
        progress: called after each noise sample.

    Raises:
        UsageError: an output is not one row of scores per sample, or the labels are no class numbers.
    """
    found, known = [], Labels(0, None)
    for model in models:
        work = Evaluation(subject.measurement, {model.label: model}, _decisions)
        local = work.evaluators if subject.workers.here else Evaluators(subject.local)
        evaluator = local.get(model)
        setting = asdict(evaluator.setting())
        batches = list(evaluator.outputs(0, 0.0))
        classes = _classes(evaluator, batches[0][1].shape)
        labels = _labels(batches)
        known = Labels(setting["samples"], None if labels is None else _entropy(labels))
        if not subject.workers.here:
            local.close()
        by_eta = {
            eta: [Draw(model.label, trial, model.scale(eta)) for trial in range(draws if eta else 1)] for eta in etas
        }
        entries = {
            draw: (setting, {"part": "decisions", "scale": draw.scale, "trial": draw.trial})
            for row in by_eta.values()
            for draw in row
        }
        decisions = subject.gathered(work, entries, progress, f"information of {model.label}")
        decided = {eta: np.array([decisions[draw] for draw in row], np.int64) for eta, row in by_eta.items()}
        points = [_bits(eta, rows, labels, classes) for eta, rows in decided.items()]
        strongest = decided[etas[-1]]
        counts = [_FEWEST << k for k in range(32) if _FEWEST << k < len(strongest)] + [len(strongest)]
        found.append(Curve(model.label, points, {n: read_information(strongest[:n], classes) for n in counts}))
    return found, known


def _decisions(evaluator: Evaluator, draw: Draw) -> list[int]:
    outputs = evaluator.outputs(draw.trial, draw.scale)
    return [int(choice) for _, output in outputs for choice in output.argmax(axis=-1)]


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
