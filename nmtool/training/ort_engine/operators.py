"""The operators that onnxruntime-training takes a gradient through, as far as they were compared with torch."""

from collections.abc import Collection

import onnx_ir as ir

from nmtool.errors import ModelError
from nmtool.passes.graphs import label

# fmt: off
GRADIENTS = frozenset({
    "Abs", "Add", "Cast", "Clip", "Concat", "Conv", "Cos", "Div", "Erf", "Exp", "Expand",
    "Flatten", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "Identity", "LeakyRelu", "Log",
    "LogSoftmax", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "Pad", "Pow", "Reciprocal", "ReduceMean",
    "ReduceSum", "Relu", "Reshape", "Sigmoid", "Sin", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub",
    "Tanh", "Tile", "Transpose", "Unsqueeze",
})
# fmt: on
"""ONNX Runtime 1.19.2 on a CPU; tests/training/ort_engine/test_engine.py compares each.

Not AveragePool, whose gradient divides by zero and ends the process, nor Where, whose gradient is wrong.
"""
_STOP = frozenset({"Shape", "Size"})  # no gradient comes back from these


def require_gradients(graph: ir.Graph, trained: Collection[str]) -> None:
    """Refuse a graph in which the gradient of a trained array would pass another operator.

    Args:
        graph: without functions.
        trained: names of initializers.

    Raises:
        ModelError: naming the operator and the node.
    """
    reached = {graph.initializers[name] for name in trained}
    for node in graph:
        if node.op_type in _STOP or not reached.intersection(node.inputs):
            continue
        if node.domain or node.op_type not in GRADIENTS:
            name = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
            fold = "export the model in evaluation mode, which folds it, or " * (name == "BatchNormalization")
            raise ModelError(
                f"the engine ort does not train through {name}: node {label(node)!r}", hint=f"{fold}use --engine torch"
            )
        reached.update(node.outputs)
