"""Finding the constant array behind an operand.

Walking back from the operand, operators that only lay out data (Transpose, Reshape, …) are passed through. What lies
behind them is the *array*: an initializer, a Constant node, or a value computed from constants alone (DequantizeLinear
of an int8 initializer). Noise belongs on the array, not behind the layout, so that weights used both directly and
transposed carry the same noise.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.errors import ModelError
from nmtool.passes.graphs import FullNames, sites

if TYPE_CHECKING:
    from onnx.reference import ReferenceEvaluator

LAYOUT_OPS = {"Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Cast"}
_RANDOM = ("Random", "Multinomial", "Bernoulli")
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
        name: what identifies the physical array: the full name of the value, or of the int8 initializer behind a
            DequantizeLinear.
        layout: layout operators from the array to the operand, in order; empty when the operand is the array.
    """

    value: ir.Value
    tensor: ir.TensorProtocol
    name: str
    layout: tuple[ir.Node, ...]

    def channel_axis(self, operand_axis: int | None, operand_rank: int | None) -> int | None:
        """The operand's axis as an axis of the array, or None where a Reshape hides it."""
        axis, rank = operand_axis, operand_rank
        for node in reversed(self.layout):
            if axis is None:
                return None
            if node.op_type == "Transpose":
                permutation = node.attributes.get_ints("perm", ()) or tuple(
                    reversed(range(rank or len(self.tensor.shape)))
                )
                axis = permutation[axis % len(permutation)]
            elif node.op_type not in ("Identity", "Cast"):
                return None
        return axis if axis is None else axis % max(len(self.tensor.shape), 1)


class ConstantFinder:
    """Finds and evaluates constants of one model; remembers what it evaluated."""

    def __init__(self, model: ir.Model, opset: int) -> None:
        """Find the constants of `model`; `opset`, of ai.onnx, is for evaluating constant expressions."""
        self.full_name = FullNames(model)
        self._opset = opset
        self._computed: set[ir.Value] = set()
        self._evaluated: dict[ir.Value, ir.TensorProtocol] = {}
        for site in sites(model):  # in order, so that a node comes after those that compute its inputs
            if self._computes_constant(site.node):
                self._computed.update(site.node.outputs)

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
        return ConstantArray(value, self.tensor(value), self.full_name(_root(value)), tuple(layout))

    def is_constant(self, value: ir.Value) -> bool:
        """Whether the value is known without running the model; defaults of graph inputs count as known."""
        return value in self._computed or (value.is_initializer() and value.const_value is not None)

    def _computes_constant(self, node: ir.Node) -> bool:
        if node.domain or node.op_type.startswith(_RANDOM) or any(_is_open(a) for a in node.attributes.values()):
            return False
        inputs = [value for value in node.inputs if value is not None]
        return node.op_type == "Constant" or (bool(inputs) and all(self.is_constant(value) for value in inputs))

    def ingredients(self, value: ir.Value) -> set[str]:
        """Full names of the stored constants that a constant is made of; its own where it is stored."""
        found, stack, seen = set[str](), [value], {value}
        while stack:
            value = stack.pop()
            node = value.producer()
            if stored_tensor(value) is not None or node is None:
                found.add(self.full_name(value))
                continue
            inputs = {source for source in node.inputs if source is not None} - seen
            stack.extend(inputs)
            seen |= inputs
        return found

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

    def _evaluate(self, node: ir.Node, output: ir.Value) -> NDArray[Any]:
        arrays = {value.name or "": self.tensor(value).numpy() for value in node.inputs if value is not None}
        function = onnx.FunctionProto(domain="nmtool.constant", name="evaluate", input=list(arrays))
        function.output.append(output.name or "")
        function.node.append(ir.serde.serialize_node(node))
        try:
            results: Any = _evaluator(function, self._opset).run(None, arrays, attributes={})
            return np.asarray(results[0])
        except Exception as error:  # the evaluator raises whatever the operator's numpy code raises
            raise ModelError(
                f"constant {output.name!r} computed by {node.op_type} {node.name!r} cannot be evaluated: {error}",
                hint="fold constants first, for instance with onnxslim",
            ) from error

    def _is_float(self, value: ir.Value) -> bool:
        return self.tensor(value).dtype in FLOATS


def _evaluator(function: onnx.FunctionProto, opset: int) -> "ReferenceEvaluator":
    """An evaluator of the first version, from `opset` on, that it implements: it lacks many an old one."""
    from onnx.reference import ReferenceEvaluator

    for version in range(opset, onnx.defs.onnx_opset_version() + 1):
        del function.opset_import[:]
        function.opset_import.append(onnx.helper.make_opsetid("", version))
        try:
            return ReferenceEvaluator(function)
        except RuntimeError:
            continue
    raise NotImplementedError("onnx's reference evaluator does not implement the operator")


def _is_layout(node: ir.Node) -> bool:
    return not node.domain and node.op_type in LAYOUT_OPS


def _root(value: ir.Value) -> ir.Value:
    node = value.producer()
    while node is not None and node.op_type in ("DequantizeLinear", "QuantizeLinear") and node.inputs[0] is not None:
        value = node.inputs[0]
        node = value.producer()
    return value


def _is_open(attribute: ir.Attr) -> bool:
    """Whether its value is not known here: a reference to an attribute of a function, or a subgraph."""
    return attribute.is_ref() or attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
