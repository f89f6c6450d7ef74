"""Take the noise out again: the inverse of InjectNoise."""

import onnx_ir as ir

from nmtool import provenance
from nmtool.errors import ModelError
from nmtool.ops import DOMAIN
from nmtool.passes.graphs import replace_node, sites
from nmtool.passes.noise_rewriter import NODE_PREFIX, NOISY_SUFFIX
from nmtool.passes.noisy_nodes import (
    is_primitive,
    noisy_sites,
    remove_noise_functions,
    remove_noise_inputs,
    stock_node,
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
        added = [site.node for site in sites(model) if site.node.domain == DOMAIN or _is_added(site.node)]
        parameters = list(dict.fromkeys(value for node in added for value in node.inputs if value is not None))
        for site in noisy_sites(model):
            if is_primitive(site.node):
                _bypass(site.graph, site.node, site.node.inputs[0])
            else:
                replace_node(site.graph, site.node, stock_node(site.node, take_apart(model, site.node)))
        _remove_copies(model)
        remove_noise_inputs(model, record.trial_input, record.scale_input)
        remove_unused(model, parameters)
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


def _remove_copies(model: ir.Model) -> None:
    """Copies of layout operators give way to the originals, whose outputs are named alike but for the suffix."""
    copies = [s for s in sites(model) if _is_added(s.node) and (s.node.outputs[0].name or "").endswith(NOISY_SUFFIX)]
    originals = {(id(s.graph), output.name): output for s in sites(model) for output in s.node.outputs}
    for site in copies:
        output = site.node.outputs[0]
        original = originals.get((id(site.graph), (output.name or "").removesuffix(NOISY_SUFFIX)))
        _bypass(site.graph, site.node, original)


def remove_unused(model: ir.Model, parameters: list[ir.Value]) -> None:
    """Remove the added nodes and the parameters that nothing uses any more."""
    for site in reversed([site for site in sites(model) if _is_added(site.node)]):
        if not any(output.uses() for output in site.node.outputs):
            site.graph.remove(site.node, safe=True)
    for value in parameters:
        if value.is_initializer() and not value.uses() and not value.is_graph_input() and "::" in (value.name or ""):
            model.graph.initializers.pop(value.name or "", None)


def _is_added(node: ir.Node) -> bool:
    return (node.name or "").startswith(NODE_PREFIX)
