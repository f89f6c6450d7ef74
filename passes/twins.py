"""The noise of each layer by itself, all layers in one run: a second, noisy node beside each noisy node."""

from dataclasses import dataclass

import onnx_ir as ir

from nmtool import provenance
from nmtool.errors import ModelError
from nmtool.ops import LAYERS
from nmtool.passes.graphs import label
from nmtool.passes.inference import Inference
from nmtool.passes.noise_rewriter import NODE_PREFIX
from nmtool.passes.noisy_layers import noisy_layers
from nmtool.passes.noisy_nodes import is_added

_SUFFIX = "::twin"


@dataclass(frozen=True)
class Pair:
    """A node with noisy weights and its twin.

    Attributes:
        node: label of the node.
        output: name of its first output that is used.
        twin: name of the same output of the twin.
    """

    node: str
    output: str
    twin: str


class Twins(ir.passes.InPlacePass):
    """Give each node with noisy weights a twin that takes the same inputs.

    The noise of the twin is as strong as `noise_scale` says, while that of the node is multiplied by `noise_scales` as
    well (see `LayerScales`, which must have run). So with factors of 0 a single run computes, for every layer, its
    output without noise, and with noise in that layer alone. Both are outputs of the model.

    Attributes:
        pairs: nodes and twins, in graph order; filled by the call. Nodes in subgraphs and functions have none, since
            their values cannot be outputs.
    """

    def __init__(self) -> None:
        """Prepare the pass."""
        self.pairs: list[Pair] = []

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Change the model in place.

        Raises:
            ModelError: the model has no input with a factor for each array.
        """
        record = provenance.read(model)
        if record is None or record.layers_input is None:
            raise ModelError("the model takes no factors on the noise of its layers", hint="run LayerScales first")
        scale = next(value for value in model.graph.inputs if value.name == record.scale_input)
        nodes = {site.node for layer in noisy_layers(model) for site in layer.users if site.graph is model.graph}
        outputs = {value.name for value in model.graph.outputs}
        inference = Inference(model)
        copies: dict[ir.Node, ir.Node] = {}
        for node in [node for node in model.graph if node in nodes]:
            position = next(k for k, value in enumerate(node.outputs) if value.uses() or value.name in outputs)
            before = len(copies)
            twin = _copy(node, scale, copies)
            model.graph.insert_after(node, list(copies.values())[before:])
            dtype, shape = inference.dtype(node.outputs[position]), inference.shape(node.outputs[position])
            for value in (node.outputs[position], twin.outputs[position]):
                value.type = None if dtype is None else ir.TensorType(dtype)
                value.shape = None if shape is None else ir.Shape(shape)
                if value.name not in outputs:
                    model.graph.outputs.append(value)
                    outputs.add(value.name)
            self.pairs.append(Pair(label(node), node.outputs[position].name or "", twin.outputs[position].name or ""))
        return ir.passes.PassResult(model, bool(self.pairs))


def _copy(node: ir.Node, scale: ir.Value, copies: dict[ir.Node, ir.Node]) -> ir.Node:
    """A copy of a node, and of what inject put in front of it if there is none yet, without factors on its noise."""
    inputs: list[ir.Value | None] = []
    for value in node.inputs:
        before = None if value is None else value.producer()
        if value is None or before is None or not is_added(before) or not before.inputs:
            inputs.append(value)
        elif (value.name or "").startswith(f"{LAYERS}::"):
            inputs.append(scale)
        else:
            copy = copies[before] if before in copies else _copy(before, scale, copies)
            inputs.append(copy.outputs[before.outputs.index(value)])
    prefix = "" if is_added(node) else NODE_PREFIX
    copies[node] = ir.Node(
        node.domain,
        node.op_type,
        inputs,
        list(node.attributes.values()),
        overload=node.overload,
        name=f"{prefix}{label(node)}{_SUFFIX}",
        outputs=[
            ir.val(f"{value.name}{_SUFFIX}" if value.name else "", value.dtype, value.shape) for value in node.outputs
        ],
    )
    return copies[node]
