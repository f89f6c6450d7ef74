"""A noisy array by itself: a small model out of a file's own operators, from an array to the noisy array."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.errors import ModelError
from nmtool.ops import DOMAIN, SCALE, TRIAL
from nmtool.ops.analog import ANALOG_OPS
from nmtool.passes.constants import ConstantFinder
from nmtool.passes.graphs import label
from nmtool.passes.inject_noise import opset_of
from nmtool.passes.noisy_nodes import is_primitive, noisy_sites

INPUT, OUTPUT = "array", "noisy"
_ELEMENTS = 1 << 18  # of larger arrays only the first rows are looked at


@dataclass(frozen=True)
class NoisyArray:
    """An array and the nodes that put noise on it.

    Attributes:
        name: of the physical array; of the activation, where it is one.
        nodes: the call of a composite, or the chain of primitives behind the array.
        values: the array as it is stored, or its first rows; None for an activation.
        parameters: of all stages, in order, cut like the values.
        dtype: of the array.
    """

    name: str
    nodes: tuple[ir.Node, ...]
    values: NDArray[Any] | None
    parameters: tuple[NDArray[Any], ...]
    dtype: ir.DataType

    @property
    def seed(self) -> int:
        """Of the random numbers."""
        return self.nodes[0].attributes.get_int("seed", 0)

    @property
    def stream(self) -> int:
        """Of the random numbers."""
        return self.nodes[0].attributes.get_int("stream", 0)


def noisy_arrays(model: ir.Model) -> list[NoisyArray]:
    """The noisy arrays, one for every draw: an array that two composites use comes twice.

    Raises:
        ModelError: a node lacks an input, a parameter is not constant, or a composite has not the form of nmtool's.
    """
    return list(_arrays(model, ConstantFinder(model, opset_of(model))))


def array_model(model: ir.Model, array: NoisyArray) -> onnx.ModelProto:
    """The operators of one array: from INPUT, TRIAL and SCALE to OUTPUT.

    INPUT and OUTPUT are float64, of any shape that the parameters broadcast to; the noise is added in the array's type.

    Args:
        model: the noisy model.
        array: one of its arrays.
    """
    proto = onnx.ModelProto(ir_version=model.ir_version)
    proto.opset_import.extend(onnx.helper.make_opsetid(*each) for each in model.opset_imports.items())
    functions = {f.name: ir.serde.serialize_function(f) for f in model.functions.values() if f.domain == DOMAIN}
    nodes = [onnx.helper.make_node("Cast", [INPUT], ["given"], to=array.dtype.value)]
    parameters = [f"parameter{k}" for k in range(len(array.parameters))]
    remaining = iter(parameters)
    for node in array.nodes:
        call = ir.serde.serialize_node(node)
        count = len(parameters)
        if is_primitive(node):
            count = len(node.inputs) - 3
        else:
            functions[node.op_type] = _up_to_the_array(functions[node.op_type])
        del call.input[:], call.output[:]
        call.input.extend([nodes[-1].output[0], *(next(remaining) for _ in range(count)), TRIAL, SCALE])
        call.output.append(f"noisy{len(nodes)}")
        nodes.append(call)
    nodes.append(onnx.helper.make_node("Cast", [nodes[-1].output[0]], [OUTPUT], to=onnx.TensorProto.DOUBLE))
    proto.graph.node.extend(nodes)
    proto.graph.name = "array"
    for name, dtype, shape in (
        (INPUT, onnx.TensorProto.DOUBLE, None),
        (TRIAL, onnx.TensorProto.INT64, []),
        (SCALE, onnx.TensorProto.FLOAT, []),
    ):
        proto.graph.input.append(onnx.helper.make_tensor_value_info(name, dtype, shape))
    proto.graph.output.append(onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.DOUBLE, None))
    for name, values in zip(parameters, array.parameters, strict=True):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    proto.functions.extend(functions.values())
    return proto


def _arrays(model: ir.Model, finder: ConstantFinder) -> Iterator[NoisyArray]:
    for site in noisy_sites(model):
        node = site.node
        if not is_primitive(node):
            function, operand = _composite(model, node)
            first = ANALOG_OPS["", function.graph[-1].op_type].required
            end = [value.name for value in function.inputs].index(TRIAL)
            yield _read(finder, (node,), node.inputs[operand], node.inputs[first:end])
        elif not _is_drawn(node.inputs[0]):
            chain = [node]
            while following := [
                use.node for use in chain[-1].outputs[0].uses() if use.idx == 0 and _is_drawn_by(use.node)
            ]:
                chain.append(following[0])
            yield _read(finder, tuple(chain), node.inputs[0], [v for each in chain for v in each.inputs[1:-2]])


def _is_drawn_by(node: ir.Node) -> bool:
    return node.domain == DOMAIN and is_primitive(node)


def _is_drawn(value: ir.Value | None) -> bool:
    producer = value.producer() if value is not None else None
    return producer is not None and _is_drawn_by(producer)


def _read(
    finder: ConstantFinder, nodes: tuple[ir.Node, ...], value: ir.Value | None, given: Sequence[ir.Value | None]
) -> NoisyArray:
    unknown = [each for each in given if each is None or not finder.is_constant(each)]
    if value is None or unknown:
        what = "its array" if value is None else "a constant parameter of its noise"
        raise ModelError(f"node {label(nodes[0])!r} lacks {what}", hint="inject the source model again")
    parameters = [finder.tensor(each).numpy() for each in given if each is not None]
    array = finder.find(value)
    if array is None:
        dtype = ir.DataType(nodes[0].attributes.get_int("dtype", ir.DataType.FLOAT))
        return NoisyArray(value.name or "", nodes, None, tuple(parameters), dtype)
    values = np.asarray(array.tensor.numpy())
    if values.size > _ELEMENTS:
        rows = max(1, _ELEMENTS // math.prod(values.shape[1:]))
        parameters = [
            each[:rows] if each.shape[:1] == values.shape[:1] and each.ndim == values.ndim else each
            for each in parameters
        ]
        values = np.array(values[:rows])  # a copy: the rest need not stay in memory
    return NoisyArray(array.name, nodes, values, tuple(parameters), array.tensor.dtype)


def _composite(model: ir.Model, node: ir.Node) -> tuple[ir.Function, int]:
    """The function of a composite, and which input of the call is the array."""
    function = model.functions.get((DOMAIN, node.op_type, ""))
    stock = function.graph[-1] if function is not None and len(function) else None
    op = None if stock is None else ANALOG_OPS.get((stock.domain, stock.op_type))
    names = [] if function is None else [value.name for value in function.inputs]
    if function is None or stock is None or op is None or not op.inputs or TRIAL not in names:
        raise ModelError(
            f"node {label(node)!r} is a {DOMAIN}::{node.op_type}, which the model does not define as nmtool does",
            hint="another tool removed or changed the functions: inject the source model again",
        )
    return function, _operand(node.op_type, stock.op_type)


def _operand(composite: str, stock: str) -> int:
    """Which operand is the array, by the name of the composite: its body may be what is wrong."""
    return 0 if composite.startswith(f"Noisy{stock}Left") else 1


def _up_to_the_array(function: onnx.FunctionProto) -> onnx.FunctionProto:
    """The function of a composite without its stock operator: from the array and the noise to the noisy array."""
    stock = function.node[-1]
    op = ANALOG_OPS["", stock.op_type]
    operand = _operand(function.name, stock.op_type)
    array, noisy = function.input[operand], stock.input[operand]
    inputs = [array, *function.input[op.required : list(function.input).index(SCALE) + 1]]
    del function.node[-1], function.input[:], function.output[:]
    function.input.extend(inputs)
    function.output.append(OUTPUT)
    function.node.append(onnx.helper.make_node("Identity", [noisy], [OUTPUT]))
    return function
