"""Multiply-accumulates of the matrix products of a model, from inferred shapes."""

import math

import onnx
import onnx_ir as ir

Shapes = dict[str, tuple[int | None, ...]]

_SHAPE_BYTES = 1024  # smaller arrays may be the shapes and axes that other shapes depend on


def infer_shapes(model: ir.Model) -> Shapes:
    """Shapes of all values whose rank is known, by name; a dimension that is not a number is None.

    Weights are left out: protobuf could not hold large ones, and shapes do not depend on them. Where a node's shapes
    cannot be inferred, those of the others are.
    """
    bare = model.clone()
    for name, value in list(bare.graph.initializers.items()):
        if value.const_value is not None and value.const_value.nbytes > _SHAPE_BYTES:
            bare.graph.initializers.pop(name)
            if not value.is_graph_input():
                bare.graph.inputs.append(value)
    try:
        proto = onnx.shape_inference.infer_shapes(ir.to_proto(bare), data_prop=True)
    except (RuntimeError, ValueError, onnx.shape_inference.InferenceError):  # malformed, or more than 2 GiB
        return {}
    infos = [info for function in proto.functions for info in function.value_info]
    pending = [proto.graph]
    while pending:
        graph = pending.pop()
        infos += [*graph.input, *graph.output, *graph.value_info]
        pending += [g for node in graph.node for a in node.attribute for g in (a.g, *a.graphs)]
    return {
        info.name: tuple(d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else None for d in shape.dim)
        for info in infos
        if info.type.tensor_type.HasField("shape") and (shape := info.type.tensor_type.shape) is not None
    }


def count_macs(node: ir.Node, operand: int, weights: int, shapes: Shapes) -> int | None:
    """Multiply-accumulates of one inference with the array on `operand`.

    A leading dimension that is not a number (the batch) counts as 1; None where another dimension is not known.

    Args:
        node: the stock node.
        operand: which input is the array.
        weights: number of elements of the array.
        shapes: of infer_shapes.
    """
    first, output = _shape(node.inputs[0], shapes), _shape(node.outputs[0], shapes)
    if node.op_type in ("Conv", "FusedConv"):
        return _times(weights, output, slice(2, None), batch=output)
    if node.op_type == "ConvTranspose":
        return _times(weights, first, slice(2, None), batch=first)
    if node.op_type in ("LSTM", "GRU", "RNN"):
        return _times(weights, first, slice(0, 2))
    if node.op_type == "Attention":
        return None if first is None else _product(weights, first[:-1])
    if node.op_type in ("MatMul", "Gemm", "FusedMatMul", "FusedGemm"):
        array = _shape(node.inputs[operand], shapes)
        if array is None or output is None:
            return None
        transposed = bool(node.attributes.get_int("transA" if operand == 0 else "transB", 0))
        axis = -1 if len(array) == 1 or (operand == 0) != transposed else -2
        return None if array[axis] is None else _product(array[axis] or 0, output)
    return None


def count_dynamic_macs(node: ir.Node, shapes: Shapes) -> int | None:
    """Multiply-accumulates of a product of two activations."""
    first, output = _shape(node.inputs[0], shapes), _shape(node.outputs[0], shapes)
    if first is None or output is None or first[-1] is None:
        return None
    return _product(first[-1], output)


def _shape(value: ir.Value | None, shapes: Shapes) -> tuple[int | None, ...] | None:
    if value is None:
        return None
    if value.const_value is not None:
        return tuple(int(d) for d in value.const_value.shape)
    return shapes.get(value.name or "")


def _times(
    weights: int, shape: tuple[int | None, ...] | None, part: slice, batch: tuple[int | None, ...] | None = None
) -> int | None:
    if shape is None:
        return None
    return _product(weights, ((batch[0],) if batch else ()) + shape[part])


def _product(weights: int, dimensions: tuple[int | None, ...]) -> int | None:
    known = tuple(1 if k == 0 and d is None else d for k, d in enumerate(dimensions))
    return None if any(d is None for d in known) else weights * math.prod(d for d in known if d is not None)
