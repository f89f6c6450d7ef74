"""Multiply-accumulates of the matrix products of a model, from inferred shapes."""

import math

import onnx_ir as ir

from nmtool.passes.inference import Inference, Shape

_CONVOLUTIONS = {"Conv": 1, "FusedConv": 1, "DeformConv": 1, "ConvInteger": 1, "QLinearConv": 3}
_PRODUCTS = {
    *("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "QGemm", "QLinearMatMul"),
    *("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"),
}
_RECURRENT = {"LSTM", "GRU", "RNN"}


def count_macs(node: ir.Node, operand: int, inference: Inference) -> int | None:
    """Multiply-accumulates of one inference; None where they are not known.

    A batch dimension that is not a number counts as 1.

    Args:
        node: the stock node.
        operand: which input is the array; the arrays of a recurrent operator are counted one by one.
        inference: the shapes.
    """

    def shape(index: int) -> Shape | None:
        return inference.shape(node.inputs[index]) if index < len(node.inputs) else None

    output = inference.shape(node.outputs[0])
    first = shape(0)
    if node.op_type == "Gather":
        return 0
    if node.op_type in _CONVOLUTIONS:
        return _count(shape(_CONVOLUTIONS[node.op_type]), output and (*output[:1], *output[2:]))
    if node.op_type == "ConvTranspose":
        return _count(shape(1), first and (*first[:1], *first[2:]))
    if node.op_type in _RECURRENT:  # [sequence, batch, input], or the batch first with layout 1
        batch_first = node.attributes.get_int("layout", 0) == 1
        return _count(shape(operand), first and (first[:2] if batch_first else (first[1], first[0])))
    if node.op_type in ("Attention", "QAttention") and node.domain:
        return _count(shape(1), first and first[:-1])
    if node.op_type == "MatMulNBits":
        return _count((node.attributes.get_int("K", 0),), output)
    if node.op_type in _PRODUCTS:
        return _count(_depth(first, -2 if node.attributes.get_int("transA", 0) else -1), output)
    return None


def _depth(left: Shape | None, axis: int) -> Shape | None:
    """How many products each output of a matrix product sums."""
    return None if not left else (left[-1 if len(left) == 1 else axis],)


def _count(array: Shape | None, uses: Shape | None) -> int | None:
    """The number of elements of the array times how often each is used; the batch comes first in `uses`."""
    if array is None or uses is None:
        return None
    known = [*array, *(1 if k == 0 and d is None else d for k, d in enumerate(uses))]
    return None if None in known else math.prod(d for d in known if d is not None)
