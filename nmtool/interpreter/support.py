"""What of a model cannot be converted: found before anything is."""

import onnx_ir as ir

from nmtool.errors import ModelError
from nmtool.interpreter.registry import CONVERTER_OPS, find_op
from nmtool.passes.graphs import label, sites

_SHOWN = 8
_LOOPS = {("", "Loop"), ("", "Scan")}


def require_supported(model: ir.Model) -> None:
    """Refuse a model with nodes that have no torch equivalent here.

    Raises:
        ModelError: naming the nodes, their operators and the opset.
    """
    problems = [
        f"{label(site.node)}: {reason}"
        for site in sites(model)
        if (reason := unsupported(site.node, model.graph.opset_imports.get(site.node.domain)))
    ]
    if problems:
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        loops = any((site.node.domain, site.node.op_type) in _LOOPS for site in sites(model))
        raise ModelError(
            f"nodes that cannot be converted to torch: {'; '.join(problems[:_SHOWN])}{more}",
            hint="export the model with its loops unrolled, or with LSTM, GRU and RNN instead of Loop and Scan"
            if loops
            else "give them a function with nmtool.interpreter.register_op",
        )


def unsupported(node: ir.Node, opset: int | None) -> str | None:
    """Why the node cannot be converted, or None."""
    name = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    if (node.domain, node.op_type) in CONVERTER_OPS:
        return (
            "Constant of strings" if {"value_string", "value_strings", "sparse_value"} & set(node.attributes) else None
        )
    op = find_op(node.domain, node.op_type)
    if (node.domain, node.op_type) in _LOOPS:
        return f"{name} of opset {opset}: loops are not trained through"
    if op is None:
        return f"{name} of opset {opset}"
    given = max((index + 1 for index, value in enumerate(node.inputs) if value is not None), default=0)
    if op.inputs is not None and given > op.inputs:
        return f"{name} of opset {opset} with {given} inputs"
    for attribute in node.attributes.values():
        if op.attributes is not None and attribute.name not in (op.attributes | op.only.keys()):
            return f"{name} of opset {opset} with attribute {attribute.name}"
        if attribute.name in op.only and attribute.value not in op.only[attribute.name]:
            return f"{name} of opset {opset} with {attribute.name} = {attribute.value}"
    return None
