"""How far the outputs of two runtimes are apart, and how far they may be."""

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.payloads import stored_arrays

TOLERANCE = 1e-4
"""Largest difference of an output in float32, relative to its largest value: sums in another order."""
COARSE_TOLERANCE = 2e-2
"""The same in half precision, where values are rounded, and of quantized models, where codes may round either way."""

_FLOOR = 1e-6
"""Absolute difference that is always allowed: runtimes approximate sigmoids near 0 that well."""
_QUANTIZED = ("Quantize", "QLinear", "Integer", "NBits", "QGemm", "QAttention")  # parts of the names of operators


def difference(have: NDArray[Any], want: NDArray[Any]) -> float:
    """The largest difference, relative to the largest value that is wanted.

    Args:
        have: values of any type.
        want: what they should be.

    Returns:
        max |have - want| / max |want|, where differences up to 1e-6 are none. Equal infinities and NaN at the same
        places are no difference; NaN, infinities at other places, and another shape are an infinite one.
        Integers of 8 bits are codes of real numbers: 1 is no difference. For other integers and booleans, the share
        of elements that differ.
    """
    if have.shape != want.shape:
        return float("inf")
    if not is_real(want):
        return float(np.mean(have != want)) if want.size else 0.0
    largest = largest_difference(have, want)
    if largest <= (_FLOOR if is_floating(want) else 1):
        return 0.0
    want = want.astype(np.float64)
    size = np.abs(want[np.isfinite(want)]).max(initial=0.0)
    return float(largest / size) if size > 0 else float("inf")


def largest_difference(have: NDArray[Any], want: NDArray[Any]) -> float:
    """Largest |have - want| of real numbers of one shape; NaN and infinities as in `difference`."""
    have, want = have.astype(np.float64), want.astype(np.float64)
    compared = ~((have == want) | (np.isnan(have) & np.isnan(want)))
    if not compared.any():
        return 0.0
    with np.errstate(invalid="ignore"):
        largest = np.abs(have[compared] - want[compared]).max()
    return float(largest) if np.isfinite(largest) else float("inf")


def is_floating(values: NDArray[Any]) -> bool:
    """Whether the values are real numbers, of any precision; those of bfloat16 are of a kind unknown to numpy."""
    return values.dtype.kind in "fV"


def is_real(values: NDArray[Any]) -> bool:
    """Whether the values are real numbers or their codes, integers of 8 bits."""
    return is_floating(values) or (values.dtype.kind in "iu" and values.dtype.itemsize == 1)


def allowed_difference(model: onnx.ModelProto) -> float:
    """The difference that rounding explains, by the precision that the model computes in."""
    quantized = any(part in node.op_type for node in _nodes(model) for part in _QUANTIZED)
    return COARSE_TOLERANCE if quantized or has_half(model) else TOLERANCE


def has_half(model: onnx.ModelProto) -> bool:
    """Whether arrays, inputs, outputs or casts of the model are in half precision."""
    types = {tensor.data_type for _, tensor in stored_arrays(model)}
    types |= {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    types |= {
        attribute.i
        for node in _nodes(model)
        for attribute in node.attribute
        if node.op_type == "Cast" and attribute.name == "to"
    }
    return bool(types & {ir.DataType.FLOAT16.value, ir.DataType.BFLOAT16.value})


def _nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [*model.graph.node, *(node for function in model.functions for node in function.node)]
