"""Which operators map to analog arrays, and which of their operands the array holds."""

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class AnalogOp:
    """An operator that multiplies by a matrix an analog array can hold.

    Attributes:
        operands: inputs that may be the array, the usual one first.
        channel_axis: (node, operand) -> axis of the output channels in the operand, negative from the end, or None
            where an operand has no single such axis.
        inputs: names of the stock operator's inputs. Given only for operators that have a composite: the others get
            perturbed weights in front of them.
        required: how many of `inputs` must be there.
    """

    operands: tuple[int, ...]
    channel_axis: Callable[[ir.Node, int], int | None]
    inputs: tuple[str, ...] = ()
    required: int = 2


def _fixed(axis: int | None) -> Callable[[ir.Node, int], int | None]:
    return lambda node, operand: axis


def _matmul_axis(node: ir.Node, operand: int) -> int:
    return -1 if operand == 1 else -2


def _gemm_axis(node: ir.Node, operand: int) -> int:
    transposed = bool(node.attributes.get_int("transB" if operand == 1 else "transA", 0))
    return -1 if (operand == 1) != transposed else -2


ANALOG_OPS: dict[tuple[str, str], AnalogOp] = {
    ("", "MatMul"): AnalogOp((1, 0), _matmul_axis, ("A", "B")),
    ("", "Gemm"): AnalogOp((1, 0), _gemm_axis, ("A", "B", "C")),
    ("", "Conv"): AnalogOp((1,), _fixed(0), ("X", "W", "B")),
    ("", "ConvTranspose"): AnalogOp((1,), _fixed(1), ("X", "W", "B")),
    ("", "DeformConv"): AnalogOp((1,), _fixed(0)),
    ("", "Einsum"): AnalogOp((1, 0), _fixed(None)),
    ("", "LSTM"): AnalogOp((1, 2), _fixed(1)),
    ("", "GRU"): AnalogOp((1, 2), _fixed(1)),
    ("", "RNN"): AnalogOp((1, 2), _fixed(1)),
    (MICROSOFT, "FusedConv"): AnalogOp((1,), _fixed(0)),
    (MICROSOFT, "FusedMatMul"): AnalogOp((1, 0), _gemm_axis),
    (MICROSOFT, "FusedGemm"): AnalogOp((1, 0), _gemm_axis),
    (MICROSOFT, "Attention"): AnalogOp((1,), _fixed(-1)),
}

EVERY_OPERAND = {("", "LSTM"), ("", "GRU"), ("", "RNN")}
"""Operators all of whose operands are arrays; of the others at most one operand is."""

_INTEGER = "integer arithmetic on quantized weights: noise needs real-valued weights (export as QDQ)"

_TABLE = "table lookup, no matrix product"
_FUSED = "product of activations inside a fused operator"

DIGITAL_OPS: dict[tuple[str, str], str] = {
    **{("", op): _INTEGER for op in ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")},
    **{
        (MICROSOFT, op): _INTEGER
        for op in (
            "QAttention",
            "QGemm",
            "QLinearConv",
            "QOrderedMatMul",
            "MatMulIntegerToFloat",
            "DynamicQuantizeMatMul",
            "DynamicQuantizeLSTM",
            "MatMulNBits",
            "MatMulBnb4",
            "MatMulFpQ4",
        )
    },
    **{
        ("ai.onnx.ml", op): "its weights are attributes of a classical-ML operator"
        for op in ("LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor")
    },
    ("", "Gather"): _TABLE,
    (MICROSOFT, "GatherBlockQuantized"): _TABLE,
    (MICROSOFT, "EmbedLayerNormalization"): _TABLE,
    ("", "Attention"): _FUSED,
    **{
        (MICROSOFT, op): _FUSED
        for op in (
            "MultiHeadAttention",
            "GroupQueryAttention",
            "SparseAttention",
            "PagedAttention",
            "PackedMultiHeadAttention",
            "DecoderMaskedMultiHeadAttention",
        )
    },
    **{
        (MICROSOFT, op): "its weights are inside a fused operator (export without that fusion)"
        for op in (
            "MoE",
            "QMoE",
            "PackedAttention",
            "DecoderAttention",
            "DecoderMaskedSelfAttention",
            "LongformerAttention",
        )
    },
}
"""Operators that hold or multiply matrices but stay digital, with the reason that the report gives."""
