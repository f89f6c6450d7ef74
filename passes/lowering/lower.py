"""Lowering a whole model, and saying what became of each of its noisy nodes."""

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from nmtool.noise.base import PARAMETER_NAMES
from nmtool.ops import DOMAIN
from nmtool.passes.graphs import Site, label
from nmtool.passes.lowering.arrays import OpenComposites, noisy_arrays
from nmtool.passes.lowering.blocked import LayOut, with_blocked_noise
from nmtool.passes.lowering.fold_batchnorm import FoldBatchNorm
from nmtool.passes.lowering.fuse_products import FuseProducts
from nmtool.passes.lowering.sample_outputs import SampleOutputs
from nmtool.passes.noisy_nodes import noisy_sites

Sampling = Literal["weights", "outputs", "auto"]
"""What noise is drawn for: each weight, giving the specified values; or where possible ("outputs"), or possible and
cheaper ("auto"), the outputs of a product, with the same distribution."""


@dataclass(frozen=True)
class NodeForm:
    """How a session computes one noisy node.

    Attributes:
        node: the node's name.
        op_type: its operator.
        form: "weights": drawn in front of the weights; "blocked": drawn behind the runtime's layout of the weights;
            "fused": drawn inside the product; "outputs": drawn for the outputs; "portable": as it is in the file.
        reason: why, or up to how many rows.
    """

    node: str
    op_type: str
    form: Literal["weights", "blocked", "fused", "outputs", "portable"]
    reason: str


@dataclass(frozen=True)
class Lowered:
    """A model made for one runtime on one machine.

    Attributes:
        model: the model; it needs nmtool's operator library.
        forms: what became of its noisy nodes, in graph order.
    """

    model: ir.Model
    forms: list[NodeForm]

    @property
    def changed(self) -> bool:
        """Whether any node is computed in another way than the file says."""
        return any(form.form in ("blocked", "fused", "outputs") for form in self.forms)


def lower(model: ir.Model, sampling: Sampling, lay_out: LayOut) -> Lowered:
    """Rewrite a noisy model for speed; the model given is used up.

    Args:
        model: a model that inject has made.
        sampling: what noise is drawn for.
        lay_out: what the runtime makes of a model, offline.

    Raises:
        ModelError: the runtime rejects the model.
    """
    OpenComposites()(model)
    nodes = [(site, _user(site)) for site in noisy_sites(model)]
    arrays = {array.node.name for array in noisy_arrays(model)}
    FoldBatchNorm()(model)
    outputs = SampleOutputs(force=sampling == "outputs")
    if sampling != "weights":
        outputs(model)
    products = FuseProducts()
    products(model)
    metadata = dict(model.metadata_props)
    lowered, blocked = with_blocked_noise(model, lay_out, outputs=sampling != "weights")
    lowered.metadata_props.update(metadata)
    forms = []
    for site, node in nodes:
        name = label(node)
        if node.name in outputs.sampled:
            rows = outputs.sampled[node.name]
            reason = "same distribution, other values" if rows is None else f"up to {rows} rows, else weights"
            forms.append(NodeForm(name, node.op_type, "outputs", reason))
        elif blocked.get(node.name or ""):
            reason = f"up to {blocked[node.name or '']} positions, else weights behind the layout"
            forms.append(NodeForm(name, node.op_type, "outputs", reason))
        elif node.name in blocked:
            forms.append(NodeForm(name, node.op_type, "blocked", "same values"))
        elif node.name in products.fused:
            forms.append(NodeForm(name, node.op_type, "fused", outputs.kept.get(node.name or "", "same values")))
        elif node.name in arrays:
            reason = outputs.kept.get(node.name or "", "same values")
            if node.op_type == "Conv":
                reason = "the runtime does not lay its weights out in blocks"
            forms.append(NodeForm(name, node.op_type, "weights", reason))
        else:
            forms.append(NodeForm(name, node.op_type, "portable", _why_portable(site)))
    return Lowered(lowered, forms)


def _user(site: Site) -> ir.Node:
    """The node that computes with what a primitive draws."""
    uses = site.node.outputs[0].uses() if site.node.op_type in PARAMETER_NAMES else ()
    return next((use.node for use in uses), site.node)


def _why_portable(site: Site) -> str:
    if site.function is not None or site.path:
        return "in a function or a subgraph"
    array = site.node.inputs[0]
    if array is not None and array.is_graph_input():
        return "its weights are an input, which a caller may replace"
    if site.node.domain == DOMAIN and site.node.op_type in PARAMETER_NAMES:
        return "not one draw of Gaussian noise on float32 weights of one node"
    return "computed as the file says"
