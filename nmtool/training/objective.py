"""What the student is trained for: which values of the graph are compared with the teacher's, and by which loss."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from nmtool.errors import ModelError, UsageError
from nmtool.ops.analog import ANALOG_OPS
from nmtool.passes.constants import FLOATS, ConstantFinder
from nmtool.passes.inference import Inference
from nmtool.recipes import Recipe
from nmtool.training.losses import Distillation, Loss, MeanSquare, Weighted, cosine, features

KINDS = ("distillation", "mse", "cosine", "features")
_FORM = re.compile(rf"(?:(?P<value>.+)=)?(?P<kind>{'|'.join(KINDS)}|)(?::(?P<weight>[\d.eE+-]+))?")


@dataclass(frozen=True)
class Term:
    """One term of the loss.

    Attributes:
        value: the graph's value that it judges.
        position: of the graph output that this stands for: the value itself, or what a Softmax makes of it; None for a
            value inside the graph.
        kind: one of KINDS.
        weight: of the term.
        loss: the loss.
    """

    value: str
    position: int | None
    kind: str
    weight: float
    loss: Loss


@dataclass(frozen=True)
class Objective:
    """The terms of the loss.

    Attributes:
        terms: at least one.
        notes: what was chosen and why, for the user.
    """

    terms: tuple[Term, ...]
    notes: tuple[str, ...] = ()

    @property
    def loss(self) -> Weighted:
        """All terms as one loss by value."""
        return Weighted({term.value: (term.weight, term.loss) for term in self.terms})

    @property
    def values(self) -> tuple[str, ...]:
        """The graph's values that the loss needs."""
        return tuple(term.value for term in self.terms)


def resolve(model: ir.Model, specifications: Sequence[str], recipe: Recipe) -> Objective:
    """Choose values and losses.

    Args:
        model: the student's clean graph.
        specifications: `[VALUE=]KIND[:WEIGHT]` each, VALUE an output or a value inside the graph, the first output by
            default; none: distillation of every output that is logits or comes from a Softmax, mse of the others. The
            labels are those of the first one.
        recipe: alpha, temperature, label smoothing, and the weight of matching features.

    Raises:
        UsageError: a specification is not of that form, or names no value.
        ModelError: no gradient comes back from a value.
    """
    graph, inference = model.graph, Inference(model)
    values = {value.name: value for value in graph.outputs} | {
        output.name: output for node in graph for output in node.outputs
    }
    outputs = [value.name or "" for value in graph.outputs]
    terms: list[Term] = []
    notes: list[str] = []
    for specification in specifications or _defaults(model, inference):
        name, kind, weight = _parse(specification, outputs[0])
        if name not in values:
            raise UsageError(f"the model has no value {name!r}", hint=f"its outputs are: {', '.join(outputs)}")
        value = values[name]
        _require_gradient(value, inference)
        kind = kind or _default_kind(value, inference)
        if kind == "distillation" and (logits := _logits(value)) is not value:
            notes.append(f"{name} is a Softmax: the loss is on its input {logits.name}")
            value = logits
        if not specifications:
            notes.append(f"loss: {kind} on {value.name}")
        judged = recipe if not terms else replace(recipe, alpha=1.0)  # labels are of the first term
        loss = _loss(kind, judged, _class_axis(value, inference))
        position = outputs.index(name) if name in outputs else None
        terms.append(Term(value.name or "", position, kind, weight, loss))
    if recipe.features:
        taken = {term.value for term in terms}
        inner = [node.outputs[0].name or "" for node in graph if (node.domain, node.op_type) in ANALOG_OPS]
        inner = [name for name in inner if name not in taken]
        terms += [Term(name, None, "features", recipe.features / len(inner), features) for name in inner]
    judged_outputs = {term.position for term in terms}
    if unjudged := [name for position, name in enumerate(outputs) if position not in judged_outputs]:
        notes.append(f"outputs without a loss: {', '.join(unjudged)}")
    return Objective(tuple(terms), tuple(notes))


def target_of(teacher: ir.Model, term: Term) -> str:
    """Name of the teacher's value that a term compares the student's with.

    For an output it is the teacher's output of that position, or its logits; for a value inside, that of the same name.

    Raises:
        ModelError: the teacher has no such value.
    """
    outputs = teacher.graph.outputs
    if term.position is None:
        if any(output.name == term.value for node in teacher.graph for output in node.outputs):
            return term.value
        raise ModelError(f"the teacher has no value {term.value!r}", hint="match values that both models have")
    if term.position >= len(outputs):
        raise ModelError(f"the teacher has {len(outputs)} outputs, the student at least {term.position + 1}")
    value = outputs[term.position]
    return (_logits(value) if term.kind == "distillation" else value).name or ""


def expose(model: ir.Model, values: Sequence[str]) -> list[str]:
    """Make inner values outputs of the graph; returns the names of all its outputs."""
    graph = model.graph
    have = {value.name for value in graph.outputs}
    inner = {output.name: output for node in graph for output in node.outputs}
    inference = Inference(model)
    for name in values:
        if name not in have:
            inner[name].type = inner[name].type or ir.TensorType(inference.dtype(inner[name]) or ir.DataType.FLOAT)
            graph.outputs.append(inner[name])
            have.add(name)
    return [value.name or "" for value in graph.outputs]


def _parse(specification: str, default: str) -> tuple[str, str, float]:
    """Value, kind ("" for the default) and weight."""
    match = _FORM.fullmatch(specification)
    try:
        weight = float((match and match["weight"]) or 1)
    except ValueError:
        match = None
    if match is None:
        raise UsageError(f"a loss is [VALUE=]KIND[:WEIGHT] with KIND {', '.join(KINDS)}, not: {specification}")
    return match["value"] or default, match["kind"], weight


def _defaults(model: ir.Model, inference: Inference) -> list[str]:
    """A specification for every real-valued output that is computed; where there is none, for the first, to say why."""
    outputs, finder = model.graph.outputs, ConstantFinder(model, model.graph.opset_imports.get("", 1))
    trained = [
        value for value in outputs if inference.dtype(value) in (None, *FLOATS) and not finder.is_constant(value)
    ]
    return [f"{value.name}=" for value in trained or outputs[:1]]


def _loss(kind: str, recipe: Recipe, axis: int) -> Loss:
    if kind == "distillation":
        return Distillation(recipe.alpha, recipe.temperature, recipe.label_smoothing, axis)
    losses: dict[str, Loss] = {"mse": MeanSquare(recipe.alpha), "cosine": cosine, "features": features}
    return losses[kind]


def _default_kind(value: ir.Value, inference: Inference) -> str:
    shape = inference.shape(value)
    producer = value.producer()
    are_scores = shape is not None and len(shape) == 2 and shape[1] != 1
    is_squashed = producer is not None and producer.op_type in ("Sigmoid", "Tanh", "HardSigmoid")
    return "distillation" if _logits(value) is not value or (are_scores and not is_squashed) else "mse"


def _logits(value: ir.Value) -> ir.Value:
    """The input of the Softmax that the value comes from, or the value."""
    node = value.producer()
    while node is not None and node.op_type == "Identity" and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    if node is None or node.domain or node.op_type != "Softmax" or node.inputs[0] is None:
        return value
    return node.inputs[0]


def _class_axis(value: ir.Value, inference: Inference) -> int:
    """Axis of the classes: that of the Softmax behind the value, 1 for images of logits, else the last."""
    for node in value.consumers():
        if not node.domain and node.op_type == "Softmax" and "axis" in node.attributes:
            return node.attributes.get_int("axis", -1)
    shape = inference.shape(value)
    return 1 if shape is not None and len(shape) == 4 else -1


def _require_gradient(value: ir.Value, inference: Inference) -> None:
    """Refuse a value that is not real-valued, and say where a loss can be attached before it."""
    if inference.dtype(value) in FLOATS or (inference.dtype(value) is None and value.dtype in (None, *FLOATS)):
        return
    producer = value.producer()
    before, seen = value, producer
    while seen is not None and inference.dtype(before) not in FLOATS:
        source = next((each for each in seen.inputs if each is not None and each.producer() is not None), None)
        if source is None:
            break
        before, seen = source, source.producer()
    found = inference.dtype(before) in FLOATS
    at = f"attach the loss before it: --loss '{before.name}=distillation'" if found else None
    operator = f"it comes from {producer.op_type}" if producer is not None else "it is an input"
    raise ModelError(f"no gradient comes back from {value.name!r}: {operator}", hint=at)
