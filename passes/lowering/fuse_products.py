"""Drawing the noise of a matrix inside the product that uses it.

A noisy matrix that one node writes and the next one reads goes through the memory twice, and the runtime cannot pack it
in advance as it does a constant one. The operator GaussianMatMul draws some columns of it at a time, as it needs them,
into the cache: the same values, to rounding.
"""

import numpy as np
import onnx_ir as ir

from nmtool.ops import DOMAIN
from nmtool.passes.constants import stored_tensor
from nmtool.passes.inference import Inference
from nmtool.passes.lowering.arrays import is_fixed, new_initializer, noisy_arrays
from nmtool.passes.lowering.nodes import Nodes
from nmtool.passes.lowering.products import Product, as_product

_GROUP = 64
"""Channels of a panel: their draws for one input are a group (docs/noise-spec.md)."""


class FuseProducts(ir.passes.InPlacePass):
    """Draw the noise of MatMul and Gemm inside of them.

    Attributes:
        fused: names of the nodes that do.
    """

    def __init__(self) -> None:
        """Nothing is fused yet."""
        self.fused: set[str] = set()

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite the products in place."""
        inference = Inference(model)
        for array in noisy_arrays(model):
            product = as_product(array)
            if isinstance(product, str) or not can_fuse(product):
                continue
            nodes, output = Nodes(f"{product.output.name}::"), product.output
            result = fused(model, product, nodes)
            shape = inference.shape(output)
            result.type, result.shape = ir.TensorType(ir.DataType.FLOAT), None if shape is None else ir.Shape(shape)
            ir.convenience.replace_nodes_and_values(
                model.graph, product.nodes[-1], product.nodes, nodes.nodes, [output], [result]
            )
            model.graph.remove(array.noise, safe=True)
            self.fused.add(array.node.name or "")
        return ir.passes.PassResult(model, bool(self.fused))


def can_fuse(product: Product) -> bool:
    """Whether the operator computes this product: W is not transposed, has whole groups of channels, and not alpha."""
    node, bias = product.array.node, product.bias
    if product.shape[1] % _GROUP != 0 or node.attributes.get_int("transB", 0) != 0:
        return False
    if node.attributes.get_float("alpha", 1.0) != 1.0 or node.attributes.get_float("beta", 1.0) != 1.0:
        return False
    tensor = stored_tensor(bias) if bias is not None and is_fixed(bias) else None
    return bias is None or (tensor is not None and tensor.shape == (product.shape[1],))


def fused(model: ir.Model, product: Product, nodes: Nodes) -> ir.Value:
    """Add a node that computes a product that can be fused; returns its output."""
    noise, name = product.array.noise, product.output.name
    std = new_initializer(model, f"{name}::std", product.std)
    bias = product.bias or new_initializer(model, f"{name}::bias", np.zeros(1, np.float32))
    source = {key: noise.attributes.get_int(key, 0) for key in ("seed", "stream", "draw")}
    inputs = [product.x, noise.inputs[0], std, *noise.inputs[2:], bias]
    return nodes.op("GaussianMatMul", inputs, source, domain=DOMAIN, name=product.array.node.name)
