"""Losses of distillation: how far the noisy student is from its clean teacher, and from the labels.

Each is `loss(student, teacher, labels)` of one output, a scalar with the gradient of the student alone. Activations
inside the network are matched like outputs: take them out, and weight them with `Weighted`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from nmtool.errors import UsageError


class Loss(Protocol):
    """A loss of one output."""

    def __call__(self, student: Tensor, teacher: Tensor | None, labels: Tensor | None = None) -> Tensor:
        """The loss, a scalar; a teacher or labels that it does not use may be None.

        Raises:
            UsageError: one that it uses is None, or its shape does not fit the student's.
        """
        ...


@dataclass(frozen=True)
class Distillation:
    """Knowledge distillation of logits (Hinton, Vinyals, Dean 2015, arXiv:1503.02531).

        L = (1 - a) CE(y, softmax(s)) + a T^2 KL(softmax(t / T) || softmax(s / T))

    s and t are the logits of student and teacher, y the labels; both terms are means over the batch and, where the
    logits have more axes, over positions. With label smoothing e and C classes, y is (1 - e) one_hot + e / C. T^2 keeps
    the size of the second gradient independent of T. At a = 1 no labels are needed, at a = 0 no teacher.

    Attributes:
        alpha: a, the weight of the teacher, 0 <= a <= 1.
        temperature: T > 0; larger ones make the teacher say more about the classes it rejects.
        label_smoothing: e, 0 <= e < 1.
        axis: axis of the classes: -1, or 1 for images of logits. Labels lack this axis.
    """

    alpha: float = 1.0
    temperature: float = 1.0
    label_smoothing: float = 0.0
    axis: int = -1

    def __post_init__(self) -> None:
        _require_share("alpha", self.alpha)
        if not 0 < self.temperature < float("inf"):
            raise UsageError(f"temperature must be a finite number > 0, not {self.temperature}")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"label_smoothing must be >= 0 and < 1, not {self.label_smoothing}")

    def __call__(self, student: Tensor, teacher: Tensor | None, labels: Tensor | None = None) -> Tensor:
        """The loss of logits of any shape; labels are class numbers, or one-hot and of that shape."""
        logits = _rows(student, self.axis)
        loss = logits.new_zeros(())
        if self.alpha < 1:
            if labels is None:
                raise UsageError("alpha < 1 needs labels", hint="give labels, or train from the teacher alone: alpha 1")
            shape = student.movedim(self.axis, -1).shape
            labels = labels.argmax(dim=self.axis) if labels.shape == student.shape else labels  # one-hot
            labels = labels[..., 0] if labels.shape == (*shape[:-1], 1) else labels
            _require_shape("labels", labels, shape[:-1])
            entropy = functional.cross_entropy(logits, labels.reshape(-1).long(), label_smoothing=self.label_smoothing)
            loss = loss + (1 - self.alpha) * entropy
        if self.alpha > 0:
            target = _target("teacher", teacher, student)
            divergence = _divergence(_rows(target, self.axis) / self.temperature, logits / self.temperature)
            loss = loss + self.alpha * self.temperature**2 * divergence
        return loss


@dataclass(frozen=True)
class MeanSquare:
    """Mean squared error, for outputs that are not logits.

        L = (1 - a) mean (s - y)^2 + a mean (s - t)^2

    Attributes:
        alpha: a, the weight of the teacher against the true values y, 0 <= a <= 1.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        _require_share("alpha", self.alpha)

    def __call__(self, student: Tensor, teacher: Tensor | None, labels: Tensor | None = None) -> Tensor:
        """The loss of outputs of any shape; labels are of the same shape."""
        loss = student.new_zeros((), dtype=torch.float32)
        for weight, name, target in ((1 - self.alpha, "labels", labels), (self.alpha, "teacher", teacher)):
            if weight > 0:
                error = _real(student) - _target(name, target, student)
                loss = loss + weight * error.square().mean()
        return loss


def cosine(student: Tensor, teacher: Tensor | None, labels: Tensor | None = None) -> Tensor:
    """One minus the cosine of the angle to the teacher's output, for embeddings.

        L = 1 - mean over samples of s . t / (|s| |t|)

    A sample is an element of the first axis, and all its other axes are one vector. Labels are not used.
    """
    target = _target("teacher", teacher, student)
    cosines = functional.cosine_similarity(_samples(_real(student)), _samples(target), dim=1)
    return 1 - cosines.mean()


def features(student: Tensor, teacher: Tensor | None, labels: Tensor | None = None) -> Tensor:
    """Feature matching: the squared distance to the teacher's activations, relative to their size.

        L = sum (s - t)^2 / sum t^2

    Being relative, it weighs all layers alike: 1 is as far as silence. Labels are not used.
    """
    target = _target("teacher", teacher, student)
    size = target.square().sum().clamp_min(torch.finfo(target.dtype).tiny)
    return (_real(student) - target).square().sum() / size


@dataclass(frozen=True)
class Weighted:
    """The weighted sum of losses of several outputs.

        L = sum over outputs k of w_k L_k(s_k, t_k, y_k)

    Attributes:
        terms: weight and loss of each output that counts, by its name; other outputs are ignored.
    """

    terms: Mapping[str, tuple[float, Loss]]

    def __post_init__(self) -> None:
        if not self.terms:
            raise UsageError("a loss needs at least one output")
        for name, (weight, _) in self.terms.items():
            if not 0 <= weight < float("inf"):
                raise UsageError(f"the weight of output {name!r} must be a finite number >= 0, not {weight}")

    def __call__(
        self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], labels: Mapping[str, Tensor]
    ) -> Tensor:
        """The loss of all outputs, by name; outputs without teacher or labels may lack there.

        Raises:
            UsageError: the student lacks an output, or an output's loss lacks what it needs.
        """
        if missing := [name for name in self.terms if name not in student]:
            raise UsageError(f"no such output: {missing[0]!r}", hint=f"the outputs are: {', '.join(student)}")
        losses = [
            weight * loss(student[name], teacher.get(name), labels.get(name))
            for name, (weight, loss) in self.terms.items()
        ]
        return torch.stack(losses).sum()


def _divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """Mean over rows of KL(softmax(teacher) || softmax(student)); a class masked with -inf in both counts nothing."""
    log_p, log_q = functional.log_softmax(teacher, dim=1), functional.log_softmax(student, dim=1)
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0).sum(dim=1).mean()


def _rows(logits: Tensor, axis: int) -> Tensor:
    """The logits as [rows, classes]."""
    last = _real(logits).movedim(axis, -1)
    return last.reshape(-1, last.shape[-1])


def _samples(values: Tensor) -> Tensor:
    return values.reshape(values.shape[0], -1)


def _real(values: Tensor) -> Tensor:
    """At least float32: half precision is too coarse for sums and logarithms."""
    return values if values.dtype == torch.float64 else values.float()


def _target(name: str, target: Tensor | None, student: Tensor) -> Tensor:
    """What the student is compared with, of its shape and without gradient."""
    if target is None:
        raise UsageError(f"the loss needs {name}")
    _require_shape(name, target, student.shape)
    return _real(target.detach())


def _require_shape(name: str, values: Tensor, shape: torch.Size) -> None:
    if values.shape != shape:
        raise UsageError(f"the shape of {name} is {list(values.shape)}, expected {list(shape)}")


def _require_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(f"{name} must be from 0 to 1, not {value}")
