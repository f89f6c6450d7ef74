"""Take the noise out again: the inverse of InjectNoise."""

import onnx_ir as ir

from nmtool import provenance
from nmtool.errors import ModelError
from nmtool.passes.graphs import replace_node
from nmtool.passes.noisy_nodes import (
    copies,
    is_crossbar,
    is_primitive,
    noisy_sites,
    parameters,
    remove_noise_functions,
    remove_noise_inputs,
    remove_unused,
    stock_node,
    stock_of_crossbar,
    take_apart,
)


class StripNoise(ir.passes.InPlacePass):
    """Restore the model that noise was injected into.

    1. Composites become their stock operators again; primitives in front of operands are bypassed.
    2. Everything that inject added is removed: nodes, parameters, inputs, functions, opset imports, metadata.
    3. The IR version is restored. A model that is not noisy is left alone.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Strip the model in place."""
        record = provenance.read(model)
        if record is None:
            return ir.passes.PassResult(model, False)
        added = parameters(model)
        for site in noisy_sites(model):
            if is_primitive(site.node):
                _bypass(site.graph, site.node, site.node.inputs[0])
            elif is_crossbar(site.node):
                replace_node(site.graph, site.node, stock_of_crossbar(model, site.node))
            else:
                replace_node(site.graph, site.node, stock_node(site.node, take_apart(model, site.node)))
        for copy, original in copies(model):
            _bypass(copy.graph, copy.node, original)
        remove_noise_inputs(model, record.inputs.values())
        remove_unused(model, added)
        remove_noise_functions(model)
        model.opset_imports.clear()
        model.opset_imports.update(record.source_opsets)
        model.ir_version = record.source_ir_version
        provenance.remove(model)
        return ir.passes.PassResult(model, True)


def _bypass(graph: ir.Graph, node: ir.Node, source: ir.Value | None) -> None:
    if source is None:
        raise ModelError(f"node {node.name!r} has lost its first input")
    node.outputs[0].replace_all_uses_with(source)
    graph.remove(node, safe=True)
