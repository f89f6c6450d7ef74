"""How long a run takes where every operator is written in Python and numpy."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from nmtool.passes.graphs import sites
from nmtool.passes.inference import Inference
from nmtool.passes.macs import count_macs

_STEPPING = (
    *("MaxPool", "AveragePool", "LpPool", "Resize", "Upsample", "RoiAlign", "GridSample", "NonMaxSuppression"),
    *("DeformConv", "MaxUnpool", "MaxRoiPool", "Col2Im", "TreeEnsemble", "TreeEnsembleClassifier"),
    "TreeEnsembleRegressor",
)
"""Operators whose Python implementation goes through the elements of the output one by one."""


@dataclass(frozen=True)
class Effort:
    """What a run costs; what is of unknown size counts nothing.

    Attributes:
        macs: multiply-accumulates of matrix products.
        steps: elements that are computed one by one.
        slowest: the operator that computes most of these.
    """

    macs: int
    steps: int
    slowest: str


def effort(model: ir.Model, shapes: Mapping[str, tuple[int, ...]]) -> Effort:
    """The effort of one run of a model.

    Args:
        model: the model.
        shapes: of the inputs that are fed, by name.
    """
    sized = model.clone()
    for value in sized.graph.inputs:
        if (shape := shapes.get(value.name or "")) is not None:
            value.shape = ir.Shape(shape)
    for node in sized.graph.all_nodes():  # shapes that the file states may be those of another batch
        for value in node.outputs:
            value.shape = None
    inference = Inference(sized)
    macs, steps = 0, Counter[str]()
    for site in sites(sized):
        node = site.node
        operands = (1, 2) if node.op_type in ("LSTM", "GRU", "RNN") else (1,)
        macs += sum(count_macs(node, operand, inference) or 0 for operand in operands)
        if node.op_type in _STEPPING:
            output = inference.shape(node.outputs[0]) or (0,)
            steps[node.op_type] += math.prod(size or 0 for size in output)
    slowest = steps.most_common(1)
    return Effort(macs, steps.total(), slowest[0][0] if slowest else "")
