"""The rewriting half of InjectNoise: composites, primitives in front of operands, parameters and functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.errors import ModelError, UsageError
from nmtool.hardware.hardware import Ranges
from nmtool.noise.base import PARAMETER_NAMES, Channels, NoiseModel, WeightStatistics
from nmtool.noise.cell import Cell
from nmtool.noise.stream import stream_of
from nmtool.ops import DOMAIN, RUN, SCALE, TRIAL, VERSION
from nmtool.ops.analog import ANALOG_OPS
from nmtool.ops.composites import (
    parameter_names,
)
from nmtool.ops.crossbar import CLEAN, INPUT_RANGE, OUTPUT_RANGE, Crossbar
from nmtool.passes.constants import FLOATS, ConstantArray
from nmtool.passes.coverage import Candidate
from nmtool.passes.crossbars import Plan
from nmtool.passes.graphs import FullNames, graph_of, label, replace_node, value_names
from nmtool.passes.inference import Inference
from nmtool.passes.noise_functions import NoiseFunctions
from nmtool.passes.noise_inputs import NoiseInputs, free_name

NOISY_SUFFIX = "::noisy"
"""Values that inject adds behind an array are called after the original, with this suffix: strip relies on it."""
NODE_PREFIX = "nmtool/"
"""Nodes that inject adds are named so."""
FUNCTIONS_IR_VERSION = 8
"""The first IR version with model-local functions."""


@dataclass(frozen=True)
class Size:
    """What sizes the noise of an array.

    Attributes:
        whole: statistics of the whole array, for the report.
        weights: statistics that size the noise, of the whole array or per channel.
        channels: of the array.
        remark: why they are not per channel although that was asked for.
    """

    whole: WeightStatistics
    weights: WeightStatistics
    channels: Channels
    remark: str = ""


class NoiseRewriter:
    """Rewrites the candidates of one model; `finish` completes it."""

    def __init__(
        self, model: ir.Model, inputs: NoiseInputs, seed: int, opset: int, inference: Inference, ranges: Ranges
    ) -> None:
        """Start rewriting `model`, of opset `opset` of ai.onnx."""
        self._ranges = ranges
        self._model = model
        self._inputs = inputs
        self._seed = seed
        self._opset = opset
        self._inference = inference
        self._source_names = value_names(model)
        self._taken = set(self._source_names)
        self._full_name = FullNames(model)
        self._functions = NoiseFunctions(opset)
        self._noisy: dict[ir.Value, ir.Value] = {}
        self._held: dict[ir.Value, str] = {}
        self._parameters: dict[object, list[ir.Value]] = {}
        self._heads: dict[int, tuple[ir.Graph, list[ir.Node]]] = {}

    def rewrite(self, candidate: Candidate, planned: Plan, size: Size | None) -> None:
        """Carry out a plan; `size` sizes the noise (None: at run time)."""
        node, array, noise = candidate.site.node, candidate.array, planned.noise
        if planned.crossbar is not None:
            self._crossbar(candidate, planned, planned.crossbar, size)
        elif noise is None or isinstance(noise, Cell):
            self._perturb(candidate, planned, size)
        elif array is None:
            self._functions.expect(noise.stages())
            function = self._functions.dynamic(noise.stages()[0])
            self._replace(candidate, function, self._dynamic_parameters(candidate, noise))
        elif self._fits_composite(candidate, array):
            assert size is not None
            self._functions.expect(noise.stages())
            parameters = self._array_parameters(candidate, array, noise, size.weights)
            self._replace(candidate, self._functions.composite(node, candidate.operand, noise.stages()), parameters)
        else:
            self._perturb(candidate, planned, size)

    def finish(self) -> None:
        """Insert what belongs at the start of graphs, and add functions and opset imports."""
        for graph, nodes in self._heads.values():
            first = next(iter(graph), None)
            if first is None:
                graph.extend(nodes)
            else:
                graph.insert_before(first, nodes)
        self._inputs.finish()
        functions = self._functions.before(self._model)
        self._model.functions.clear()
        self._model.functions.update({function.identifier(): function for function in functions})
        self._model.ir_version = max(self._model.ir_version, FUNCTIONS_IR_VERSION)
        self._model.opset_imports.setdefault("", self._opset)
        self._model.opset_imports[DOMAIN] = VERSION
        for function in self._model.functions.values():
            if any(node.domain == DOMAIN for node in function.all_nodes()):
                function.opset_imports[DOMAIN] = VERSION

    def _fits_composite(self, candidate: Candidate, array: ConstantArray) -> bool:
        """A composite needs the array as its operand, in the same graph (else a Loop would draw it at every turn)."""
        node = candidate.site.node
        op = ANALOG_OPS.get((node.domain, node.op_type))
        return (
            op is not None
            and bool(op.inputs)
            and not array.layout
            and graph_of(array.value) is candidate.site.graph
            and not any(attribute.is_ref() for attribute in node.attributes.values())
        )

    def _replace(self, candidate: Candidate, function: ir.Function, parameters: list[ir.Value]) -> None:
        """Replace the node by a call of a composite; node and value names stay."""
        node = candidate.site.node
        op = ANALOG_OPS["", node.op_type]
        trial, scale = (self._inputs.value(candidate.site.function, kind) for kind in (TRIAL, SCALE))
        optional = [*node.inputs[op.required :]]
        optional += [None] * (len(op.inputs) - op.required - len(optional))
        inputs = [*node.inputs[: op.required], *parameters, trial, scale, *optional]
        self._call(candidate, function, inputs, self._noise_attributes(candidate))

    def _call(
        self,
        candidate: Candidate,
        function: ir.Function,
        inputs: Sequence[ir.Value | None],
        drawn: Sequence[ir.Attr],
    ) -> None:
        """Put a call of the function in the place of the node, with its attributes and those of the noise."""
        node = candidate.site.node
        call = ir.Node(
            DOMAIN,
            function.name,
            inputs,
            [*node.attributes.values(), *drawn],
            name=node.name,
            doc_string=node.doc_string,
            metadata_props=dict(node.metadata_props),
        )
        replace_node(candidate.site.graph, node, call)

    def _perturb(self, candidate: Candidate, planned: Plan, size: Size | None) -> None:
        """Let the operand be the noisy array, by cells or primitives behind it; nothing where it is held exactly."""
        array, noise = candidate.array, planned.noise
        if noise is None:
            return
        assert array is not None
        assert size is not None
        if isinstance(noise, Cell):
            self._hold(candidate, array, noise, planned, size)
        else:
            self._functions.expect(noise.stages())
            self._put_in_front(candidate, array, lambda: self._primitives(candidate, array, noise, size.weights))

    def _put_in_front(self, candidate: Candidate, array: ConstantArray, make: Callable[[], list[ir.Node]]) -> None:
        """Let the operand be what nodes behind the array make of it, once for all that use it, where the array is."""
        if array.value not in self._noisy:
            nodes = make()
            self._insert(array.value, nodes)
            self._noisy[array.value] = nodes[-1].outputs[0]
        noisy = self._noisy[array.value]
        for layout in array.layout:
            noisy = self._relaid(layout, noisy)
        candidate.site.node.replace_input_with(candidate.operand, noisy)

    def _primitives(
        self, candidate: Candidate, array: ConstantArray, noise: NoiseModel, weights: WeightStatistics
    ) -> list[ir.Node]:
        """The chain of primitives that draws the array."""
        parameters = self._array_parameters(candidate, array, noise, weights)
        trial, scale = (self._inputs.value(candidate.site.function, kind) for kind in (TRIAL, SCALE))
        value, nodes, stages = array.value, list[ir.Node](), noise.stages()
        for draw, stage in enumerate(stages):
            count = len(stage.parameters)
            stem = f"{array.value.name}{NOISY_SUFFIX if draw == len(stages) - 1 else f'::stage{draw}'}"
            node = ir.Node(
                DOMAIN,
                stage.primitive,
                [value, *parameters[:count], trial, scale],
                [*self._noise_attributes(candidate), ir.AttrInt64("draw", draw)],
                name=f"{NODE_PREFIX}{stem}",
                outputs=[self._value_like(stem, array.value)],
            )
            parameters = parameters[count:]
            value = node.outputs[0]
            nodes.append(node)
        return nodes

    def _crossbar(self, candidate: Candidate, planned: Plan, crossbar: Crossbar, size: Size | None) -> None:
        """Replace the node by a call of a crossbar function, with the noisy array as its operand."""
        node, array = candidate.site.node, candidate.array
        op, clean = ANALOG_OPS["", node.op_type], node.inputs[candidate.operand]
        assert array is not None
        self._perturb(candidate, planned, size)
        function = self._functions.crossbar(crossbar)
        names = [value.name or "" for value in function.inputs[op.required :]]
        given = [self._crossbar_input(candidate, name, clean) for name in names]
        output = f"{self._full_name(node.outputs[0])}::partial_sums"
        dtype = self._inference.dtype(node.outputs[0]) or array.tensor.dtype
        self._call(candidate, function, [*node.inputs[: op.required], *given], self._drawn(output, dtype))

    def _crossbar_input(self, candidate: Candidate, name: str, clean: ir.Value | None) -> ir.Value | None:
        """What a crossbar function gets for an input that its stock operator does not require."""
        node = candidate.site.node
        if name == CLEAN:
            return clean
        if name in (INPUT_RANGE, OUTPUT_RANGE):
            found = self._ranges.get(label(node), {}).get(name)
            if found is None:
                raise UsageError(
                    f"node {label(node)!r} has a calibrated converter, but no {name} is given",
                    hint="`nmtool calibrate` finds them; give its file with --calibration",
                )
            return self._constants(candidate, [f"{label(node)}::{name}"], [np.asarray(found, np.float32)])[0]
        if name in (RUN, SCALE):
            return self._inputs.value(candidate.site.function, name)
        return node.inputs[-1]  # the bias

    def _hold(self, candidate: Candidate, array: ConstantArray, cell: Cell, planned: Plan, size: Size) -> None:
        """Hold the array in cells, which are the same for all its users."""
        slices = planned.crossbar is not None and planned.crossbar.slicing is not None
        function = self._functions.cells(cell, len(array.tensor.shape), size.channels, planned.wires, slices)
        if self._held.setdefault(array.value, function.name) != function.name:
            raise ModelError(
                f"array {array.name!r} cannot be held as node {label(candidate.site.node)!r} wants it: another node "
                "that uses it has other cells, slices or tiles",
                hint="give all nodes of a shared array the same [[layers]], or keep all but one digital",
            )
        inputs = [self._inputs.value(candidate.site.function, value.name or "") for value in function.inputs[1:]]
        stem = f"{array.value.name}{NOISY_SUFFIX}"
        held = self._value_like(stem, array.value)
        if slices and cell.slicing is not None:
            held.shape = ir.Shape([len(cell.slicing.powers), *array.tensor.shape.numpy()])

        def node() -> list[ir.Node]:
            attributes, name = self._noise_attributes(candidate), f"{NODE_PREFIX}{stem}"
            return [ir.Node(DOMAIN, function.name, [array.value, *inputs], attributes, name=name, outputs=[held])]

        self._put_in_front(candidate, array, node)

    def _relaid(self, layout: ir.Node, source: ir.Value) -> ir.Value:
        """A copy of a layout operator that takes the noisy array; the original stays for its other users."""
        original = layout.outputs[0]
        if original not in self._noisy:
            name = f"{original.name}{NOISY_SUFFIX}"
            copy = ir.Node(
                layout.domain,
                layout.op_type,
                [source, *layout.inputs[1:]],
                list(layout.attributes.values()),
                name=f"{NODE_PREFIX}{name}",
                outputs=[self._value_like(name, original)],
            )
            self._insert(original, [copy])
            self._noisy[original] = copy.outputs[0]
        return self._noisy[original]

    def _array_parameters(
        self, candidate: Candidate, array: ConstantArray, noise: NoiseModel, weights: WeightStatistics
    ) -> list[ir.Value]:
        """The noise parameters of the array as values that the node can see."""
        stages = noise.stages()
        arrays = [parameter.resolve(weights) for stage in stages for parameter in stage.parameters]
        if array.value not in self._parameters:
            names = [f"{array.value.name}::{name}" for name in parameter_names(stages)]
            self._parameters[array.value] = self._constants(candidate, names, arrays)
        return self._parameters[array.value]

    def _dynamic_parameters(self, candidate: Candidate, noise: NoiseModel) -> list[ir.Value]:
        """The noise parameters relative to units that the composite measures at run time."""
        key = candidate.site.function and candidate.site.function.identifier()
        if key not in self._parameters:
            stage = noise.stages()[0]
            names = [f"nmtool::{name}" for name in PARAMETER_NAMES[stage.primitive]]
            arrays = [np.asarray(parameter.value, np.float32) for parameter in stage.parameters]
            self._parameters[key] = self._constants(candidate, names, arrays)
        return self._parameters[key]

    def _constants(self, candidate: Candidate, names: list[str], arrays: list[NDArray[np.float32]]) -> list[ir.Value]:
        """Initializers of the main graph; inside a function, which has none, Constant nodes."""
        values = []
        for wanted, array in zip(names, arrays, strict=True):
            name = free_name(wanted, self._taken)
            tensor = ir.tensor(array, name=name)
            if candidate.site.function is None:
                value = ir.val(name, const_value=tensor)
                self._model.graph.register_initializer(value)
            else:
                value = ir.val(name, ir.DataType.FLOAT, array.shape)
                attributes = [ir.AttrTensor("value", tensor)]
                constant = ir.Node("", "Constant", [], attributes, name=f"{NODE_PREFIX}{name}", outputs=[value])
                self._head(candidate.site.function.graph).append(constant)
            values.append(value)
        return values

    def _insert(self, after: ir.Value, nodes: list[ir.Node]) -> None:
        """Insert nodes where `after` is defined: behind its producer, or at the head of its graph."""
        producer, graph = after.producer(), graph_of(after)
        assert graph is not None
        if producer is None:
            self._head(graph).extend(nodes)
        else:
            graph.insert_after(producer, nodes)

    def _head(self, graph: ir.Graph) -> list[ir.Node]:
        return self._heads.setdefault(id(graph), (graph, []))[1]

    def _value_like(self, name: str, like: ir.Value) -> ir.Value:
        """A value of the same shape and type, under a name that the source model must not have.

        It may be given twice: where sibling subgraphs or functions have values of the same name.
        """
        if name in self._source_names:
            raise ModelError(f"the model already has a value named {name!r}", hint="rename that value")
        return ir.val(name, like.dtype, like.shape.copy() if like.shape is not None else None)

    def _noise_attributes(self, candidate: Candidate) -> list[ir.Attr]:
        """The stream is that of the physical array, or of the activation that is written to one."""
        array, activation = candidate.array, candidate.site.node.inputs[candidate.operand]
        if array is not None:
            name, dtype = array.name, array.tensor.dtype
        else:
            assert activation is not None
            name, dtype = self._full_name(activation), self._inference.dtype(activation) or self._float_type()
        return self._drawn(name, dtype)

    def _drawn(self, name: str, dtype: ir.DataType) -> list[ir.Attr]:
        """The attributes of noise that is drawn for what `name` names, in the type `dtype`."""
        return [
            ir.AttrInt64("seed", self._seed),
            ir.AttrInt64("stream", stream_of(name)),
            ir.AttrInt64("dtype", dtype.value),
        ]

    def _float_type(self) -> ir.DataType:
        """The floating-point type that the model computes in: for activations that inference cannot type."""
        dtypes = [value.dtype for value in self._model.graph.inputs]
        return next((dtype for dtype in dtypes if dtype in FLOATS), ir.DataType.FLOAT)
