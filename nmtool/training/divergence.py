"""The first node at which a converted model and its ONNX file part."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
from numpy.typing import NDArray
from onnx_ir.passes.common import InlinePass

from nmtool import backends
from nmtool.interpreter.convert import NAMES, convert
from nmtool.interpreter.precision import widen
from nmtool.model import ModelSource, load
from nmtool.passes.constants import FLOATS
from nmtool.passes.graphs import label
from nmtool.passes.inference import Inference
from nmtool.training.arrays import set_state, to_numpy, to_tensors
from nmtool.training.difference import difference, is_floating
from nmtool.training.feeds import paired


@dataclass(frozen=True)
class Divergence:
    """A node whose output differs.

    Attributes:
        node: its label.
        op_type: its operator.
        difference: of its output, see `nmtool.training.difference.difference`.
    """

    node: str
    op_type: str
    difference: float


def first_divergence(
    source: ModelSource,
    weights: Mapping[str, NDArray[Any]],
    written: Path,
    feeds: Mapping[str, NDArray[Any]],
    tolerance: float,
) -> Divergence | None:
    """Compare torch and ONNX Runtime on the outputs of all nodes.

    Nodes inside of If are not looked into: the If as a whole is what differs.

    Args:
        source: the clean model, which torch runs with the new weights.
        weights: the new weights by ONNX name.
        written: the same model with new weights, which ONNX Runtime runs.
        feeds: arrays for the inputs without a default, by name.
        tolerance: the difference that is allowed.

    Returns:
        The first in graph order, or None where no node differs.

    Raises:
        ModelError: one of the two cannot run with all its values as outputs.
    """
    ours, theirs = _exposed(load(source)), _exposed(load(written))
    module = convert(widen(ours)).eval()
    set_state(module, module.meta[NAMES], weights)
    names = [value.name or "" for value in ours.graph.outputs]
    runner = backends.load(theirs, optimization="basic", library=False)
    wide, exact = paired(runner, feeds)
    with torch.no_grad():
        results = module(*to_tensors(wide, wide))
    have = dict(zip(names, results if isinstance(results, tuple) else (results,), strict=True))
    want = dict(zip(names, runner.run(names, exact), strict=True))
    for node in ours.graph:
        for output in node.outputs:
            if output.name in want and is_floating(want[output.name]):
                size = difference(to_numpy(have[output.name]), want[output.name])
                if size > tolerance:
                    return Divergence(label(node), node.op_type, size)
    return None


def _exposed(model: ir.Model) -> ir.Model:
    """The model, its functions inlined, with every floating-point value of the main graph as an output."""
    if model.functions:
        model = InlinePass()(model).model
        model.functions.clear()
    inference = Inference(model)
    for node in model.graph:
        for value in node.outputs:
            if value.name and not value.is_graph_output() and inference.dtype(value) in (*FLOATS, None):
                model.graph.outputs.append(value)
    return model
