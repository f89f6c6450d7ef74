"""The graph that onnxruntime-training trains: the noisy student and its loss, in standard operators.

It is what `inject` makes of the model, its functions inlined: the noise is that of docs/noise-spec.md, drawn inside the
graph from the number of the sample. The parameters of the noise are inputs, because they follow the weights.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass, RemoveUnusedNodesPass

from nmtool.errors import ModelError
from nmtool.hardware import AnalogNoise
from nmtool.model import to_proto
from nmtool.noise.base import PARAMETER_NAMES, Channels, Parameter
from nmtool.noise.cell import Cell
from nmtool.ops import DOMAIN as NOISE
from nmtool.ops import SCALE, TRIAL
from nmtool.ops.composites import parameter_names
from nmtool.passes.constants import stored_tensor
from nmtool.passes.graphs import label
from nmtool.passes.inference import Inference
from nmtool.passes.inject_noise import InjectNoise
from nmtool.training.objective import Objective
from nmtool.training.ort_engine.losses import DOMAIN as LOSSES
from nmtool.training.ort_engine.losses import Target, parts
from nmtool.training.ort_engine.operators import require_gradients
from nmtool.training.ort_engine.opsets import within_reach
from nmtool.training.student import Placement

LOSS, SHARE = "nmtool::loss", "nmtool::share"
"""The graph's output, and the input that the loss is multiplied by."""


@dataclass(frozen=True)
class Size:
    """A parameter of the noise, relative to weights that training changes.

    Attributes:
        array: name of the weights.
        parameter: the parameter.
        channels: by which the noise is sized.
        is_spread: the normals are multiplied by it, so that its negative draws the other half of an antithetic pair.
    """

    array: str
    parameter: Parameter
    channels: Channels
    is_spread: bool


@dataclass(frozen=True)
class TrainingGraph:
    """A model that computes the loss of a batch.

    Attributes:
        proto: the model. Trained arrays are initializers under their own names.
        inputs: names of its inputs.
        targets: what the loss compares the student with, by the input that takes it.
        sizes: parameters of the noise by the input that takes them.
        trial: input for the number of the noise sample.
        scale: input for the strength of the noise.
    """

    proto: onnx.ModelProto
    inputs: tuple[str, ...]
    targets: Mapping[str, Target]
    sizes: Mapping[str, Size]
    trial: str
    scale: str


def training_graph(
    model: ir.Model,
    noise: AnalogNoise,
    placement: Placement,
    seed: int,
    objective: Objective,
    trained: Collection[str],
) -> TrainingGraph:
    """Build it.

    Args:
        model: the clean model in float32, which has the values of the objective; it is changed.
        noise: at strength one.
        placement: where it goes.
        seed: of the noise.
        objective: what is trained for.
        trained: names of the arrays that are trained.

    Raises:
        UsageError: a loss that the engine has not.
        ModelError: an operator or an array that it cannot handle.
    """
    InlinePass()(model)
    model.functions.clear()
    model = within_reach(model)
    for node in model.graph:
        node.name = label(node)  # what the engine says names nodes
    given = {value.name for value in model.graph.inputs if not value.is_initializer()}
    _store(model.graph, trained)
    require_gradients(model.graph, trained)
    targets = _put_loss(model, objective)
    inject = InjectNoise(noise, seed=seed, selection=placement.selection, per_channel=placement.per_channel)
    inject(model)
    graph = model.graph
    sizes = dict(_sizes(inject))
    for name, size in sizes.items():
        if name not in graph.initializers:
            raise ModelError(
                f"the engine ort cannot put noise on array {size.array!r}: it is inside a function or a branch",
                hint="keep its node digital (--exclude), or use --engine torch",
            )
    for name in (*inject.inputs.values(), *sizes):
        _become_input(graph, name)
    InlinePass()(model)
    model.functions.clear()
    RemoveUnusedNodesPass()(model)
    for value in [value for value in graph.inputs if not value.uses()]:
        graph.inputs.remove(value)
    for value in graph.inputs:
        if value.name in given and value.shape is not None and value.shape.rank():
            value.shape = ir.Shape([None, *value.shape[1:]])
    for domain in (LOSSES, NOISE):
        model.opset_imports.pop(domain, None)
    names = tuple(value.name or "" for value in graph.inputs)
    return TrainingGraph(to_proto(model), names, targets, sizes, inject.inputs[TRIAL], inject.inputs[SCALE])


def _store(graph: ir.Graph, trained: Collection[str]) -> None:
    """Make initializers of the Constant nodes that are trained.

    Raises:
        ModelError: an array is not in the main graph.
    """
    constants = {node.outputs[0].name: node for node in graph if node.op_type == "Constant"}
    for name in trained:
        if name in graph.initializers:
            continue
        if (node := constants.get(name)) is None:
            hint = "use --engine torch"
            raise ModelError(f"the engine ort trains arrays of the main graph only, not {name!r}", hint=hint)
        tensor = stored_tensor(node.outputs[0])
        assert tensor is not None  # it has two axes and more
        stored = ir.val(name, const_value=ir.tensor(tensor.numpy(), name=name))
        ir.convenience.replace_all_uses_with(node.outputs[0], stored)
        graph.remove(node, safe=True)
        graph.register_initializer(stored)


def _put_loss(model: ir.Model, objective: Objective) -> dict[str, Target]:
    """Compute the loss behind the model, as its only output."""
    graph, inference, targets = model.graph, Inference(model), {}
    values = {value.name: value for node in graph for value in node.outputs}
    summands = []
    for number, part in enumerate(parts(objective)):
        function = part.function(f"Loss{number}", model.opset_imports[""])
        model.functions[function.identifier()] = function
        value, name = values[part.term.value], f"nmtool::target{number}"
        shape = inference.shape(value)
        if shape is None:
            raise ModelError(f"the engine ort needs the shape of {value.name!r}, which is not known: {value.name!r}")
        targets[name] = Target.of(part, shape)
        dtype = ir.DataType.INT64 if part.is_of_classes else ir.DataType.FLOAT
        target = ir.val(name, dtype, targets[name].shape)
        graph.inputs.append(target)
        summands.append(_call(graph, LOSSES, function.name, [value, target], f"nmtool::loss{number}"))
    total = summands[0]
    for number, summand in enumerate(summands[1:]):
        total = _call(graph, "", "Add", [total, summand], f"nmtool::sum{number}")
    share = ir.val(SHARE, ir.DataType.FLOAT, [])
    graph.inputs.append(share)
    loss = _call(graph, "", "Mul", [total, share], LOSS)
    loss.type, loss.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([])
    graph.outputs[:] = [loss]
    model.opset_imports[LOSSES] = 1
    return targets


def _call(graph: ir.Graph, domain: str, op_type: str, inputs: list[ir.Value], name: str) -> ir.Value:
    node = ir.Node(domain, op_type, inputs, name=name, outputs=[ir.val(name)])
    graph.append(node)
    return node.outputs[0]


def _sizes(inject: InjectNoise) -> Iterator[tuple[str, Size]]:
    """The parameters of every noisy array, by the names that inject gives them."""
    for array, noise in inject.noises.items():
        assert not isinstance(noise, Cell)  # refused before
        stages = noise.stages()
        channels = inject.channels[array] if inject.per_channel else Channels()
        parameters = [
            (name, each)
            for stage in stages
            for name, each in zip(PARAMETER_NAMES[stage.primitive], stage.parameters, strict=True)
        ]
        for suffix, (name, parameter) in zip(parameter_names(stages), parameters, strict=True):
            yield f"{array}::{suffix}", Size(array, parameter, channels, name == "std")


def _become_input(graph: ir.Graph, name: str) -> None:
    """Let an initializer be given at every run instead."""
    value = graph.initializers.pop(name)
    tensor, value.const_value = value.const_value, None
    if tensor is not None:
        value.type, value.shape = ir.TensorType(tensor.dtype), ir.Shape(tensor.shape.numpy())
    if value not in graph.inputs:
        graph.inputs.append(value)
