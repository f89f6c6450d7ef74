"""Looking inside: models whose inner values are outputs."""

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from nmtool.ops import DOMAIN
from nmtool.passes.graphs import subgraphs
from nmtool.passes.inference import Inference


def inlined(model: ir.Model) -> ir.Model:
    """The model without functions: their nodes are in its graph, for it to be looked into. It may be changed.

    The functions of noise stay, since a runtime may have kernels for them.
    """
    if any(function.domain != DOMAIN for function in model.functions.values()):
        model = InlinePass(lambda function: function.domain != DOMAIN)(model).model
        for key in [key for key, function in model.functions.items() if function.domain != DOMAIN]:
            del model.functions[key]
    return model


def exposed(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy with the named values of the main graph as outputs, after its own; those stay, and what they need."""
    copy = model.clone()
    there = {output.name for output in copy.graph.outputs}
    for node in copy.graph:
        for value in node.outputs:
            if value.name in names and value.name not in there:
                copy.graph.outputs.append(value)
    return copy


def observable(model: ir.Model) -> list[ir.Value]:
    """The tensors that nodes of the main graph compute, in its order."""
    inference = Inference(model)
    return [value for node in model.graph for value in node.outputs if value.name and inference.is_tensor(value)]


def reads(node: ir.Node) -> set[str]:
    """Names of the values that a node uses: its inputs, and what its subgraphs take from outside, recursively."""
    used = {value.name or "" for value in node.inputs if value is not None}
    for _, graph in subgraphs(node):
        used |= {value.name or "" for value in graph.outputs}.union(*(reads(inner) for inner in graph))
        own = (*graph.inputs, *graph.initializers.values(), *(value for inner in graph for value in inner.outputs))
        used -= {value.name or "" for value in own}
    return used
