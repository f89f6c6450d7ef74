"""Reshape nodes with the batch size of the export baked in: made to keep whatever batch comes."""

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from nmtool.passes.constants import ConstantFinder
from nmtool.passes.graphs import sites


def free_batch(model: ir.Model, finder: ConstantFinder) -> dict[ir.Node, list[int]]:
    """Reshape node -> shape to use instead, with 0 (copy from the input) in place of the batch.

    A leading constant is the batch where it equals the first dimension both of the model's first input and of what is
    reshaped, which must be an activation.
    """
    inputs = [value for value in model.graph.inputs if not value.is_initializer()]
    batch = _first_dimension(inputs[0]) if inputs else None
    if batch is None:
        return {}
    if any(value.shape is None for node in model.graph for value in node.outputs):
        ShapeInferencePass()(model)
    shapes: dict[ir.Node, list[int]] = {}
    for site in sites(model):
        node = site.node
        if (node.domain, node.op_type) != ("", "Reshape") or node.inputs[0] is None or node.inputs[1] is None:
            continue
        data, wanted = node.inputs[0], node.inputs[1]
        if not finder.is_constant(wanted) or finder.is_constant(data) or _first_dimension(data) != batch:
            continue
        shape = [int(size) for size in finder.tensor(wanted).numpy().tolist()]
        if len(shape) > 1 and shape[0] == batch and 0 not in shape[1:]:
            shapes[node] = [0, *shape[1:]]
    return shapes


def _first_dimension(value: ir.Value) -> int | None:
    if value.shape is None or not len(value.shape):
        return None
    first = value.shape[0]
    return first if isinstance(first, int) else None
