"""From an ONNX graph to a torch.fx.GraphModule: one fx node per ONNX node, calling the function registered for it."""

import re
from collections.abc import Iterable
from typing import Any

import onnx_ir as ir
import torch
from onnx_ir.passes.common import InlinePass
from torch import fx, nn

from nmtool.errors import ModelError
from nmtool.interpreter import ops as ops  # registers the operators
from nmtool.interpreter.batch import free_batch
from nmtool.interpreter.modules import If, Tap
from nmtool.interpreter.registry import Op, find_op
from nmtool.interpreter.support import require_supported
from nmtool.interpreter.values import tensor as as_tensor
from nmtool.interpreter.weights import constant, host_value, is_codes, is_trainable, to_tensor
from nmtool.model import ModelSource, load
from nmtool.ops.analog import ANALOG_OPS, EVERY_OPERAND
from nmtool.passes.constants import ConstantFinder, stored_tensor
from nmtool.passes.graphs import FullNames, label

NAMES = "nmtool.names"
"""Key of `module.meta` under which the mapping from ONNX names to attribute paths is."""


def convert(source: ModelSource) -> fx.GraphModule:
    """See `nmtool.to_torch`."""
    model = load(source)
    if model.functions:
        model = InlinePass(criteria=lambda function: find_op(function.domain, function.name) is None)(model).model
        model.functions.clear()  # the bodies of those that are called as operators
    require_supported(model)
    converter = _Converter(model)
    module = converter.graph_module(model.graph, [])
    kept = {path for path, _ in (*module.named_parameters(), *module.named_buffers())}
    module.meta[NAMES] = {name: path for name, path in converter.names.items() if path in kept}
    return module


class _Converter:
    """Conversion of one model.

    Attributes:
        names: name of an initializer or Constant output -> path of its parameter or buffer in the module.
    """

    def __init__(self, model: ir.Model) -> None:
        self.names: dict[str, str] = {}
        self._opsets = model.graph.opset_imports
        self._full_name = FullNames(model)
        self._finder = ConstantFinder(model, self._opsets.get("", 1))
        self._batch = free_batch(model, self._finder)

    def graph_module(self, graph: ir.Graph, captured: list[ir.Value], path: str = "") -> fx.GraphModule:
        """Convert a graph; `captured` are values of outer graphs, which become further inputs."""
        root, target = nn.Module(), fx.Graph()
        scope = _Scope(root, target, path)
        for value in (*graph.inputs, *captured):
            if constant(value) is None or value in captured:
                scope.values[value] = target.placeholder(_identifier(value.name or "input"))
        for node in graph:
            if node.op_type != "Constant" or node.domain:
                self._node(scope, node)
        outputs = [target.call_function(as_tensor, (self._value(scope, value),)) for value in graph.outputs]
        target.output(outputs[0] if len(outputs) == 1 else tuple(outputs))
        target.eliminate_dead_code(_is_port)  # what computes settings that are known already
        target.lint()
        return fx.GraphModule(root, target)

    def _node(self, scope: "_Scope", node: ir.Node) -> None:
        inputs: list[Any] = [self._operand(scope, node, index) for index in range(len(node.inputs))]
        if node.op_type == "If" and not node.domain:
            result = self._if(scope, node, inputs[0])
        else:
            op = find_op(node.domain, node.op_type)
            assert op is not None  # require_supported has seen to it
            settings = self._attributes(scope, node, op)
            given = {
                "opset": self._opsets.get(node.domain, 1),
                "outputs": len(node.outputs),
                "stateful": all(_is_constant(node.inputs[index]) for index in op.state),
            }
            settings.update({name: given[name] for name in op.wants})
            if isinstance(op.target, type):
                result = scope.call_module(label(node), op.target(**settings), inputs)
            else:
                result = scope.graph.call_function(op.target, tuple(inputs), settings)
        if len(node.outputs) == 1:
            scope.values[node.outputs[0]] = result
            return
        for index, output in enumerate(node.outputs):
            if output.uses() or output.is_graph_output():
                scope.values[output] = scope.graph.call_function(_item, (result, index))

    def _attributes(self, scope: "_Scope", node: ir.Node, op: Op) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        for name, attribute in node.attributes.items():
            if name in op.only and (op.attributes is None or name not in op.attributes):
                continue  # the values that are implemented make no difference
            if attribute.type == ir.AttributeType.TENSOR:
                settings[name] = scope.add(f"{label(node)}_{name}", to_tensor(attribute.as_tensor()), trained=False)
            elif isinstance(attribute.value, tuple | list):
                settings[name] = list(attribute.value)
            else:
                settings[name] = attribute.value
        return settings

    def _operand(self, scope: "_Scope", node: ir.Node, index: int) -> Any:
        value = node.inputs[index]
        if value is None:
            return None
        if (node, index) in self._batch.shapes:
            return self._batch.shapes[node, index]
        contents = constant(value)
        if contents is not None and (host := host_value(contents, node, index)) is not None:
            return host
        if contents is None and (host := self._computed_setting(node, index)) is not None:
            return host
        if contents is not None and self._is_state(node, index) and len(value.uses()) > 1:
            return self._own_state(scope, node, value, contents)
        result = self._value(scope, value)
        if (node, index) in self._batch.repeated:
            like, axis = self._batch.repeated[node, index]
            return scope.graph.call_function(_repeated, (result, self._value(scope, like), axis))
        if index not in self._weights(node):
            return result
        if value not in scope.tapped:
            tap = Tap(self._array(value), node.op_type, label(node))
            scope.tapped[value] = scope.call_module(f"tap_{value.name}", tap, [result])
        return scope.tapped[value]

    def _computed_setting(self, node: ir.Node, index: int) -> Any:
        """An input that configures the node as Python numbers, where it is computed from constants alone."""
        op, value = find_op(node.domain, node.op_type), node.inputs[index]
        if value is None or op is None or index not in op.side or not self._finder.is_constant(value):
            return None
        try:
            return host_value(self._finder.tensor(value), node, index)
        except ModelError:  # the reference does not implement it: torch computes it in every call
            return None

    @staticmethod
    def _is_state(node: ir.Node, index: int) -> bool:
        op = find_op(node.domain, node.op_type)
        return op is not None and index in op.state

    def _own_state(self, scope: "_Scope", node: ir.Node, value: ir.Value, contents: ir.TensorProtocol) -> fx.Node:
        """A buffer for the statistics of this node alone, where exporters have merged equal initializers."""
        buffer = scope.add(f"{value.name}_{label(node)}", to_tensor(contents), trained=False)
        self.names[f"{self._full_name(value)}@{label(node)}"] = scope.path + buffer.target
        return buffer

    def _weights(self, node: ir.Node) -> tuple[int, ...]:
        """Inputs of the node that are arrays of weights."""
        op = ANALOG_OPS.get((node.domain, node.op_type))
        found = [
            index
            for index in (op.operands if op else ())
            if index < len(node.inputs)
            and (value := node.inputs[index]) is not None
            and self._finder.is_constant(value)
        ]
        return tuple(found if (node.domain, node.op_type) in EVERY_OPERAND else found[:1])

    def _array(self, value: ir.Value) -> str:
        """Full name of the constant that the weights are computed from."""
        while constant(value) is None and (node := value.producer()) is not None and node.inputs[0] is not None:
            value = node.inputs[0]
        return self._full_name(value)

    def _value(self, scope: "_Scope", value: ir.Value) -> Any:
        if value not in scope.values:
            contents = constant(value)
            assert contents is not None, value.name  # load() has checked the order of the nodes
            data = to_tensor(contents)
            if is_codes(value, contents):
                data = data.to(torch.float32)
            name = self._full_name(value)
            if data.dtype == torch.int64 and data.ndim <= 1 and stored_tensor(value) is None:
                scope.values[value] = data.tolist()
                return scope.values[value]
            scope.values[value] = scope.add(value.name or "", data, trained=is_trainable(value, contents))
            self.names[name] = scope.path + scope.values[value].target
        return scope.values[value]

    def _if(self, scope: "_Scope", node: ir.Node, condition: Any) -> fx.Node:
        branches = [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]
        captured = list(dict.fromkeys(value for branch in branches for value in _captured(branch)))
        inputs = [condition, *(self._value(scope, value) for value in captured)]
        name = scope.free_name(label(node))
        modules = [
            self.graph_module(branch, captured, f"{scope.path}{name}.{part}.")
            for branch, part in zip(branches, ("then_branch", "else_branch"), strict=True)
        ]
        return scope.call_module(label(node), If(*modules), inputs)


class _Scope:
    """What has been converted of one graph."""

    def __init__(self, root: nn.Module, graph: fx.Graph, path: str) -> None:
        self.root, self.graph, self.path = root, graph, path
        self.values: dict[ir.Value, Any] = {}
        self.tapped: dict[ir.Value, fx.Node] = {}

    def free_name(self, name: str) -> str:
        """A name like the given one that no attribute of the module has."""
        free = start = _identifier(name)
        count = 0
        while hasattr(self.root, free):
            count += 1
            free = f"{start}_{count}"
        return free

    def add(self, name: str, data: torch.Tensor, *, trained: bool) -> fx.Node:
        """A parameter or buffer, and the node that reads it."""
        name = self.free_name(name)
        if trained:
            self.root.register_parameter(name, nn.Parameter(data))
        else:
            self.root.register_buffer(name, data)
        return self.graph.get_attr(name)

    def call_module(self, name: str, module: nn.Module, inputs: Iterable[Any]) -> fx.Node:
        """Add the module and call it."""
        name = self.free_name(name)
        self.root.add_module(name, module)
        return self.graph.call_module(name, tuple(inputs))


def _captured(graph: ir.Graph) -> list[ir.Value]:
    """Values that the graph and its subgraphs take from outside, without constants that are defined there."""
    inside: set[ir.Value] = {*graph.inputs, *graph.initializers.values()}
    used: list[ir.Value] = []
    for node in graph:
        used.extend(value for value in node.inputs if value is not None)
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                used.extend(_captured(attribute.as_graph()))
        inside.update(node.outputs)
    used.extend(graph.outputs)
    return [value for value in used if value not in inside]


def _is_constant(value: ir.Value | None) -> bool:
    return value is not None and constant(value) is not None


def _identifier(name: str) -> str:
    """The name as a Python identifier that is no attribute of a module: prefixed, since `weight.T` could be `T`."""
    return "onnx_" + re.sub(r"\W", "_", name, flags=re.ASCII)


def _is_port(node: fx.Node) -> bool:
    return node.op in ("placeholder", "output")


def _repeated(array: torch.Tensor, like: torch.Tensor, axis: int) -> torch.Tensor:
    """The array, which is one sample's, for every sample of a batch."""
    return array.expand(*(like.shape[k] if k == axis else size for k, size in enumerate(array.shape)))


def _item(values: Any, index: int) -> Any:
    return values[index]
