"""Which constants of a model are trained, which are numbers for the host, and their contents as tensors.

What counts is the use, not the type: exporters store epsilons, scales and limits as float initializers as well.
"""

from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from nmtool.interpreter.registry import find_op
from nmtool.ops import DOMAIN
from nmtool.ops.analog import ANALOG_OPS
from nmtool.passes.constants import FLOATS, LAYOUT_OPS, stored_tensor

_HOST_LIMIT = 64  # elements; longer vectors are tables, not shapes
_CODES = {ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT16, ir.DataType.UINT16, ir.DataType.INT32}
_FOLLOWED = LAYOUT_OPS | {"Trilu", "Expand", "Slice"}  # what comes out is still the constant
_STEPS = {"ArgMax", "ArgMin", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "NonZero", "Shape", "Size"}
_SHAPE_ARITHMETIC = {"Add", "Cast", "Concat", "Div", "Gather", "Mul", "Slice", "Squeeze", "Sub", "Unsqueeze"}
_TAKE_SINGLE_WEIGHTS = {("", "BatchNormalization"), ("", "InstanceNormalization"), *ANALOG_OPS}


def constant(value: ir.Value) -> ir.TensorProtocol | None:
    """Contents of an initializer or of a Constant node of any kind, or None for a value that is computed."""
    if (stored := stored_tensor(value)) is not None:
        return stored
    node = value.producer()
    if node is None or node.op_type != "Constant" or node.domain:
        return None
    for name, dtype in (("value_int", np.int64), ("value_ints", np.int64), ("value_float", np.float32)):
        if name in node.attributes:
            return ir.tensor(np.asarray(node.attributes[name].value, dtype=dtype))
    if "value_floats" in node.attributes:
        return ir.tensor(np.asarray(node.attributes["value_floats"].value, dtype=np.float32))
    return None


def is_codes(value: ir.Value, tensor: ir.TensorProtocol) -> bool:
    """Whether the value holds the integer codes of quantized weights, and nothing else uses it."""
    uses = value.uses()
    return (
        tensor.dtype in _CODES
        and tensor.size > 1
        and bool(uses)
        and all(node.op_type == "DequantizeLinear" and index == 0 for node, index in uses)
    )


def is_trainable(value: ir.Value, tensor: ir.TensorProtocol) -> bool:
    """Whether training may change the constant."""
    if is_codes(value, tensor):
        return True
    if tensor.dtype not in FLOATS or (not value.is_initializer() and len(tensor.shape) < 2):
        return False
    uses = [(node, index) for node, index in _uses(value) if not _configures(node, index)]
    if tensor.size == 1:
        return any((node.domain, node.op_type) in _TAKE_SINGLE_WEIGHTS for node, _ in uses)
    return tensor.size > 0 and bool(uses)


def host_value(tensor: ir.TensorProtocol, node: ir.Node, index: int) -> Any:
    """The constant as Python numbers where input `index` of the node wants it so, else None."""
    if len(tensor.shape) > 1 or tensor.size > _HOST_LIMIT or tensor.dtype == ir.DataType.STRING:
        return None
    op = find_op(node.domain, node.op_type)
    of_a_shape = tensor.dtype == ir.DataType.INT32 and any(_is_shape(value) for value in node.outputs)
    if tensor.dtype == ir.DataType.INT64 or of_a_shape or (op is not None and index in op.side):
        return tensor.numpy().tolist()
    return None


def _is_shape(value: ir.Value) -> bool:
    """Whether the value is made of shapes and constants: some exporters compute with them in int32."""
    node = value.producer()
    if node is None or node.domain:
        return False
    if node.op_type == "Shape":
        return True
    inputs = [source for source in node.inputs if source is not None and constant(source) is None]
    return node.op_type in _SHAPE_ARITHMETIC and bool(inputs) and all(map(_is_shape, inputs))


def to_tensor(tensor: ir.TensorProtocol) -> torch.Tensor:
    """A copy of the contents."""
    array = tensor.numpy()
    if tensor.dtype == ir.DataType.BFLOAT16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(array, order="C"))


def _uses(value: ir.Value) -> list[tuple[ir.Node, int]]:
    """The uses of the value, and of what layout operators and noise make of it."""
    found: list[tuple[ir.Node, int]] = []
    for node, index in value.uses():
        laid_out = not node.domain and node.op_type in _FOLLOWED and not _ends_gradient(node)
        if index == 0 and (laid_out or node.domain == DOMAIN):
            found.extend(_uses(node.outputs[0]))
        else:
            found.append((node, index))
    return found


def _ends_gradient(node: ir.Node) -> bool:
    """Whether no gradient comes back through the node: masks and indices are computed behind it."""
    to = node.attributes.get_int("to", 0) if node.op_type == "Cast" else None
    return not node.domain and (node.op_type in _STEPS or (to is not None and ir.DataType(to) not in FLOATS))


def _configures(node: ir.Node, index: int) -> bool:
    op = find_op(node.domain, node.op_type)
    return _ends_gradient(node) or (op is not None and index in op.side | op.state | op.frozen)
