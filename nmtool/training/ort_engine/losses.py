"""The losses of nmtool.training.losses as ONNX functions of the student's values and their targets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir
from onnx import parser
from torch import Tensor

from nmtool.errors import UsageError
from nmtool.training.losses import Distillation, MeanSquare
from nmtool.training.objective import Objective, Term

DOMAIN = "nmtool.training"

_CROSS_ENTROPY = """
  log_q = LogSoftmax <axis = {axis}> (student)
  classes = Shape <start = {axis}, end = {end}> (student)
  depth = Squeeze (classes)
  off_on = Constant <value_floats = [0.0, 1.0]> ()
  chosen = OneHot <axis = {axis}> (target, depth, off_on)
  axes = Constant <value_ints = [{axis}]> ()
  products = Mul (chosen, log_q)
  hits = ReduceSum <keepdims = 0> (products, axes)
  all = ReduceMean <keepdims = 0> (log_q, axes)
  sharp = Constant <value_float = {sharp}> ()
  smooth = Constant <value_float = {smooth}> ()
  sharp_hits = Mul (hits, sharp)
  smooth_all = Mul (all, smooth)
  rows = Add (sharp_hits, smooth_all)
"""

_DIVERGENCE = """
  temperature = Constant <value_float = {temperature}> ()
  cool_s = Div (student, temperature)
  cool_t = Div (target, temperature)
  log_q = LogSoftmax <axis = {axis}> (cool_s)
  log_p = LogSoftmax <axis = {axis}> (cool_t)
  p = Exp (log_p)
  distances = Sub (log_p, log_q)
  products = Mul (p, distances)
  axes = Constant <value_ints = [{axis}]> ()
  rows = ReduceSum <keepdims = 0> (products, axes)
"""

_SQUARED_ERROR = """
  error = Sub (student, target)
  rows = Mul (error, error)
"""

_FUNCTION = """<domain: "{domain}", opset_import: ["" : {opset}]>
{name} (student, target) => (loss)
{{
{body}
  mean = ReduceMean <keepdims = 0> (rows)
  factor = Constant <value_float = {factor}> ()
  loss = Mul (mean, factor)
}}
"""


@dataclass(frozen=True)
class Part:
    """A summand of the loss: a function of a value of the student and a target.

    Attributes:
        term: what it is a part of.
        target: what the value is compared with.
        body: the function in ONNX's textual syntax, up to the mean over `rows`.
        factor: of the mean.
        axis: of the classes.
    """

    term: Term
    target: Literal["teacher", "labels"]
    body: str
    factor: float
    axis: int = -1

    @property
    def is_of_classes(self) -> bool:
        """Whether the target is class numbers, int64; else it is float32 and of the value's shape."""
        return self.target == "labels" and isinstance(self.term.loss, Distillation)

    def function(self, name: str, opset: int) -> ir.Function:
        """The function (student, target) -> loss of domain DOMAIN, at an opset from 18 on."""
        text = _FUNCTION.format(
            domain=DOMAIN, opset=opset, name=name, body=self.body.strip("\n"), factor=repr(self.factor)
        )
        return ir.serde.deserialize_function(parser.parse_function(text))


@dataclass(frozen=True)
class Target:
    """What an input of the training graph takes.

    Attributes:
        part: the part of the loss that it is for.
        shape: of one batch; None for samples and whatever else is open.
    """

    part: Part
    shape: tuple[int | None, ...]

    @classmethod
    def of(cls, part: Part, shape: tuple[int | None, ...]) -> "Target":
        """The target for a value of that shape; class numbers lack the axis of the classes."""
        if part.is_of_classes:
            axis = part.axis % len(shape)
            shape = (*shape[:axis], *shape[axis + 1 :])
        return cls(part, (None, *shape[1:]))

    def classes(self, labels: Tensor) -> Tensor:
        """Class numbers, int64, from class numbers (a last axis of length 1 is dropped) or one-hot vectors."""
        if labels.ndim > len(self.shape):
            labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(dim=self.part.axis)
        return labels.long()


def parts(objective: Objective) -> list[Part]:
    """The summands of an objective that count.

    Raises:
        UsageError: a loss has no form here.
    """
    return [part for term in objective.terms for part in _parts(term)]


def _parts(term: Term) -> Iterator[Part]:
    loss, weight = term.loss, term.weight
    if isinstance(loss, Distillation):
        if loss.alpha < 1:
            smooth = loss.label_smoothing
            end = loss.axis + 1 if loss.axis != -1 else "9223372036854775807"
            entropy = _CROSS_ENTROPY.format(axis=loss.axis, end=end, sharp=repr(smooth - 1), smooth=repr(-smooth))
            yield Part(term, "labels", entropy, (1 - loss.alpha) * weight, loss.axis)
        if loss.alpha > 0:
            divergence = _DIVERGENCE.format(axis=loss.axis, temperature=repr(float(loss.temperature)))
            yield Part(term, "teacher", divergence, loss.alpha * loss.temperature**2 * weight)
    elif isinstance(loss, MeanSquare):
        if loss.alpha < 1:
            yield Part(term, "labels", _SQUARED_ERROR, (1 - loss.alpha) * weight)
        if loss.alpha > 0:
            yield Part(term, "teacher", _SQUARED_ERROR, loss.alpha * weight)
    else:
        raise UsageError(f"the engine ort has no loss {term.kind!r}", hint="use distillation or mse, or --engine torch")
