"""Finding the constant array behind an operand.

Walking back from the operand, operators that only lay out data (Transpose, Reshape, …) are passed through. What lies behind
them is the *array*: an initializer, a Constant node, or a value computed from constants alone (DequantizeLinear of an
int8 initializer). Noise belongs on the array, not behind the layout, so that weights used both directly and transposed
carry the same noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.errors import ModelError

LAYOUT_OPS = {"Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast"}
FLOATS = {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def stored_tensor(value: ir.Value) -> ir.TensorProtocol | None:
    """The payload of an initializer or of a Constant node with a tensor, as it is stored; else None."""
    if value.is_initializer():
        return value.const_value
    node = value.producer()
    if node is None or node.op_type != "Constant" or node.domain:
        return None
    attribute = node.attributes.get("value")
    if attribute is not None and not attribute.is_ref():
        return attribute.as_tensor()
    return None


@dataclass(frozen=True, eq=False)
class ConstantArray:
    """A constant array and the way from it to the operand.

    Attributes:
        value: the array itself: what the noise is applied to.
        tensor: its contents.
        root: value whose name identifies the physical array (the int8 initializer behind a DequantizeLinear).
        layout: layout operators from the array to the operand, in order; empty when the operand is the array.
    """

    value: ir.Value
    tensor: ir.TensorProtocol
    root: ir.Value
    layout: tuple[ir.Node, ...]

    def channel_axis(self, operand_axis: int | None, operand_rank: int | None) -> int | None:
        """The operand's axis as an axis of the array, or None where a Reshape hides it."""
        axis, rank = operand_axis, operand_rank
        for node in reversed(self.layout):
            if axis is None:
                return None
            if node.op_type == "Transpose":
                permutation = node.attributes.get_ints("perm", ()) or tuple(reversed(range(rank or len(self.tensor.shape))))
                axis = permutation[axis % len(permutation)]
            elif node.op_type not in ("Identity", "Cast"):
                return None
        return axis if axis is None else axis % max(len(self.tensor.shape), 1)


@dataclass
class ConstantFinder:
    """Finds and evaluates constants of one model; remembers what it evaluated.

    Attributes:
        opset: opset of ai.onnx, for evaluating constant expressions.
    """

    opset: int
    _constant: dict[ir.Value, bool] = field(default_factory=dict)
    _evaluated: dict[ir.Value, ir.TensorProtocol] = field(default_factory=dict)

    def find(self, operand: ir.Value) -> ConstantArray | None:
        """The array behind the operand, or None when the operand is not constant."""
        if not self.is_constant(operand):
            return None
        layout: list[ir.Node] = []
        value = operand
        while (node := value.producer()) is not None and _is_layout(node):
            source = node.inputs[0]
            if source is None or not self._is_float(source):
                break
            layout.insert(0, node)
            value = source
        return ConstantArray(value, self.tensor(value), _root(value), tuple(layout))

    def is_constant(self, value: ir.Value) -> bool:
        """Whether the value is known without running the model; defaults of graph inputs count as known."""
        if value not in self._constant:
            self._constant[value] = self._compute_is_constant(value)
        return self._constant[value]

    def _compute_is_constant(self, value: ir.Value) -> bool:
        if value.is_initializer():
            return value.const_value is not None
        node = value.producer()
        if node is None or node.domain not in ("", "ai.onnx"):
            return False
        if node.op_type == "Constant":
            return not any(attribute.is_ref() for attribute in node.attributes.values())
        inputs = [i for i in node.inputs if i is not None]
        return bool(inputs) and not _has_subgraph_or_reference(node) and all(self.is_constant(i) for i in inputs)

    def tensor(self, value: ir.Value) -> ir.TensorProtocol:
        """Contents of a constant value.

        Raises:
            ModelError: it is computed by an operator that cannot be evaluated.
        """
        if (stored := stored_tensor(value)) is not None:
            return stored
        if value not in self._evaluated:
            node = value.producer()
            assert node is not None  # a constant that is neither stored nor computed does not exist
            self._evaluated[value] = ir.tensor(self._evaluate(node, value), name=value.name)
        return self._evaluated[value]

    def _evaluate(self, node: ir.Node, output: ir.Value) -> NDArray:
        from onnx.reference import ReferenceEvaluator

        arrays = {value.name: self.tensor(value).numpy() for value in node.inputs if value is not None}
        function = onnx.FunctionProto(domain="nmtool.constant", name="evaluate", input=list(arrays), output=[output.name])
        function.node.append(ir.serde.serialize_node(node))
        function.opset_import.append(onnx.helper.make_opsetid("", self.opset))
        try:
            return np.asarray(ReferenceEvaluator(function).run(None, arrays, attributes={})[0])
        except Exception as error:  # the evaluator raises whatever the operator's numpy code raises
            raise ModelError(
                f"constant {output.name!r} computed by {node.op_type} {node.name!r} cannot be evaluated: {error}",
                hint="fold constants first, for instance with onnxslim",
            ) from error

    def _is_float(self, value: ir.Value) -> bool:
        return self.tensor(value).dtype in FLOATS


def _is_layout(node: ir.Node) -> bool:
    return node.domain in ("", "ai.onnx") and node.op_type in LAYOUT_OPS


def _root(value: ir.Value) -> ir.Value:
    node = value.producer()
    while node is not None and node.op_type in ("DequantizeLinear", "QuantizeLinear") and node.inputs[0] is not None:
        value = node.inputs[0]
        node = value.producer()
    return value


def _has_subgraph_or_reference(node: ir.Node) -> bool:
    graph_types: Sequence[ir.AttributeType] = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    random = node.op_type.startswith(("Random", "Multinomial", "Bernoulli"))
    return random or any(a.is_ref() or a.type in graph_types for a in node.attributes.values())
