"""What a model's outputs are worth: one number per data set.

`top1`, `top5` (any k) and `agreement` count in fractions from 0 to 1, `mse` is in squared units of the output,
`cosine` runs from -1 to 1. `agreement`, `mse` and `cosine` compare with the outputs of the same model without noise.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from nmtool.backends import Array
from nmtool.errors import UsageError
from nmtool.plugins import load_function, names_function


class Accumulator(Protocol):
    """Collects batches of one evaluation."""

    def add(self, outputs: Array, labels: Array | None, clean: Array | None) -> None:
        """Add a batch.

        Args:
            outputs: of the model, samples first.
            labels: of these samples, if the data has labels.
            clean: outputs without noise, where the metric needs them.
        """

    def value(self) -> float:
        """The metric over all that was added."""


@dataclass(frozen=True)
class Metric:
    """How to judge outputs.

    Attributes:
        name: as it appears in results.
        higher_is_better: the direction in which the metric degrades.
        needs_labels: whether the data must have labels.
        needs_clean: whether the outputs without noise are needed.
        start: makes the accumulator of one evaluation.
    """

    name: str
    higher_is_better: bool
    needs_labels: bool
    needs_clean: bool
    start: Callable[[], Accumulator]


# (outputs, labels or clean outputs) -> one number per sample
PerSample = Callable[[Array, Array], Array]


@dataclass
class _Mean:
    """Mean of a number per sample."""

    per_sample: PerSample
    against_clean: bool
    total: float = 0.0
    count: int = 0

    def add(self, outputs: Array, labels: Array | None, clean: Array | None) -> None:
        target = clean if self.against_clean else labels
        assert target is not None  # the metric's needs_… flags are checked before anything runs
        values = self.per_sample(outputs, target)
        self.total += float(values.sum(dtype=np.float64))
        self.count += len(values)

    def value(self) -> float:
        return self.total / self.count


@dataclass
class _Whole:
    """A user's function of the whole data set: it need not be a mean over samples."""

    name: str
    function: Callable[..., Any]
    parts: list[tuple[Array, Array | None, Array | None]] = field(default_factory=list)

    def add(self, outputs: Array, labels: Array | None, clean: Array | None) -> None:
        self.parts.append((outputs, labels, clean))

    def value(self) -> float:
        columns = (None if part[0] is None else np.concatenate(part) for part in zip(*self.parts, strict=True))
        try:
            return float(self.function(*columns))
        except Exception as error:  # the user's code
            raise UsageError(f"metric {self.name} failed: {type(error).__name__}: {error}") from error


def top_k(k: int) -> Metric:
    """Share of samples whose label is among the k largest outputs; of equal outputs the first ones count."""

    def hits(scores: Array, labels: Array) -> Array:
        if scores.ndim < 2 or scores.shape[-1] < max(k, 2):
            raise UsageError(f"top{k} needs at least {max(k, 2)} classes, the output is {list(scores.shape)}")
        classes = scores.shape[-1]
        labels = class_numbers(labels, scores.shape)
        if labels.min() < 0 or labels.max() >= classes:
            raise UsageError(f"labels run from {labels.min()} to {labels.max()}, the output has {classes} classes")
        labelled = np.take_along_axis(scores, labels[..., None], axis=-1)
        ahead = ~(scores <= labelled)  # so that NaN is ahead of everything, and never a hit
        tied_before = (scores == labelled) & (np.arange(classes) < labels[..., None])
        return _sample_means((ahead | tied_before).sum(axis=-1) < k)

    return Metric(f"top{k}", True, True, False, lambda: _Mean(hits, against_clean=False))


def _agreement(outputs: Array, clean: Array) -> Array:
    return _sample_means(outputs.argmax(axis=-1) == clean.argmax(axis=-1))


def _mse(outputs: Array, clean: Array) -> Array:
    return _sample_means(np.square(outputs.astype(np.float64) - clean))


def _cosine(outputs: Array, clean: Array) -> Array:
    a, b = (array.reshape(len(array), -1).astype(np.float64) for array in (outputs, clean))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    same: Array = (a == b).all(axis=1).astype(np.float64)  # two zero vectors agree
    np.divide((a * b).sum(axis=1), norms, out=same, where=norms > 0)
    return same


METRICS: dict[str, Metric] = {
    "top1": top_k(1),
    "top5": top_k(5),
    "agreement": Metric("agreement", True, False, True, lambda: _Mean(_agreement, against_clean=True)),
    "mse": Metric("mse", False, False, True, lambda: _Mean(_mse, against_clean=True)),
    "cosine": Metric("cosine", True, False, True, lambda: _Mean(_cosine, against_clean=True)),
}


def find(name: str) -> Metric:
    """A metric by name: one of METRICS, `top<k>`, or `module:function`.

    The function is called once per evaluation as `function(outputs, labels, clean_outputs)` with arrays of the whole
    data set (labels may be None) and returns a number; higher is better unless it has an attribute
    `higher_is_better = False`.

    Raises:
        UsageError: there is no such metric.
    """
    if name in METRICS:
        return METRICS[name]
    if match := re.fullmatch(r"top([1-9]\d*)", name):
        return top_k(int(match[1]))
    if names_function(name):
        function = load_function(name)
        higher = bool(getattr(function, "higher_is_better", True))
        return Metric(name, higher, False, True, lambda: _Whole(name, function))
    raise UsageError(f"no metric is named {name!r}", hint=f"choose {', '.join(METRICS)}, top<k> or module:function")


def is_share(name: str) -> bool:
    """Whether the metric runs from 0 to 1 and counts samples: such a number is shown in percent."""
    return name == "agreement" or re.fullmatch(r"top\d+", name) is not None


def class_numbers(labels: Array, shape: tuple[int, ...]) -> Array:
    """Labels as class numbers: [samples, …] as they are, one-hot ones by their largest entry.

    Args:
        labels: of the data.
        shape: of the output that they are for, classes last.

    Raises:
        UsageError: they are neither.
    """
    if labels.ndim == len(shape) and labels.shape == shape:
        return np.asarray(labels.argmax(axis=-1))
    if labels.ndim == len(shape) and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.shape != shape[:-1] or labels.dtype.kind not in "iu":
        raise UsageError(
            f"labels are {labels.dtype} {list(labels.shape)}; an output of {list(shape)} takes integers "
            f"{list(shape[:-1])} or one-hot {list(shape)}"
        )
    return labels.astype(np.int64)


def _sample_means(values: Array) -> Array:
    means: Array = values.reshape(len(values), -1).mean(axis=1, dtype=np.float64)
    return means
