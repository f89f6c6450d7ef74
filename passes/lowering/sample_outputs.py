"""Sampling the noise of a product's outputs instead of that of its weights: the same distribution, fewer numbers.

For X [M, K] and weights [K, N] with independent noise, of standard deviation s_n in output channel n, the noise of the
outputs is Gaussian, independent between channels, and in channel n its covariance between rows is s_n^2 X X^T. So with
the Cholesky factor U of X X^T = U^T U and independent standard normals Z [M, N],

    X W + U^T (s Z)

has exactly the distribution of one noisy weight matrix that is applied to all M rows. It takes M N normals instead of
K N, and leaves W constant, so that the runtime packs it in advance; but U and its product grow with M^2.
"""

import math

import numpy as np
import onnx_ir as ir

from nmtool.ops import DOMAIN
from nmtool.passes.inference import Inference
from nmtool.passes.lowering.arrays import new_initializer, noisy_arrays
from nmtool.passes.lowering.crossover import rows_where_outputs_are_cheaper
from nmtool.passes.lowering.fuse_products import can_fuse, fused
from nmtool.passes.lowering.nodes import Nodes
from nmtool.passes.lowering.products import Product, as_product

DRAW = 255
"""Number of the draw of outputs on the array's stream: apart from those on its weights."""

_OPSET = 9  # from here on Less takes integers


class SampleOutputs(ir.passes.InPlacePass):
    """Sample the outputs of MatMul and Gemm where that is possible and, unless it is forced, cheaper.

    1. Possible: the array is the right operand, no other node draws on it, its noise has one size in each channel, and
       the model's opset is at least 9.
    2. Where the number of rows is not known, both forms are there and an If chooses when the model runs.

    Attributes:
        sampled: by name of the node, up to how many rows its outputs are sampled; None: always.
        kept: by name of the node, why its weights are.
    """

    def __init__(self, *, force: bool = False) -> None:
        """Choose by cost; `force`: wherever it is possible."""
        self.force = force
        self.sampled: dict[str, int | None] = {}
        self.kept: dict[str, str] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite the products in place."""
        inference, opset = Inference(model), model.opset_imports.get("", 1)
        factors: dict[tuple[ir.Value, int | None], ir.Value] = {}
        for array in noisy_arrays(model):
            name, product = array.node.name or "", as_product(array)
            if isinstance(product, str):
                self.kept[name] = product
            elif opset < _OPSET:
                self.kept[name] = f"outputs can be sampled from opset {_OPSET} on"
            elif not array.alone:
                self.kept[name] = "other nodes draw on the same array"
            else:
                cheaper = rows_where_outputs_are_cheaper(*product.shape, fused=can_fuse(product))
                limit = None if self.force else cheaper
                rows = _rows(inference.shape(product.x))
                if limit is not None and (limit == 0 or (rows is not None and rows > limit)):
                    self.kept[name] = f"cheaper: outputs are up to {limit} rows"
                    continue
                self.sampled[name] = limit if rows is None else None
                _Rewriter(model, product, factors).replace(self.sampled[name], inference.shape(product.output))
        return ir.passes.PassResult(model, bool(self.sampled))


def _rows(shape: tuple[int | None, ...] | None) -> int | None:
    """M of X, where it is known."""
    known = [size for size in shape[:-1] if size is not None] if shape is not None else []
    return math.prod(known) if shape is not None and len(known) == len(shape) - 1 else None


class _Rewriter:
    """Replaces one product."""

    def __init__(self, model: ir.Model, product: Product, factors: dict[tuple[ir.Value, int | None], ir.Value]) -> None:
        self.model = model
        self.product = product
        self.factors = factors  # shared by the products of the same X
        self.prefix = product.output.name or ""

    def replace(self, limit: int | None, shape: tuple[int | None, ...] | None) -> None:
        """Sample outputs, whose shape is this, always (None), or up to `limit` rows."""
        product, outer = self.product, Nodes(f"{self.prefix}::")
        few = None if limit is None else self._few(outer, limit)
        factor = self._factor(outer, few, limit)
        if few is None:
            result = self._sampled(outer, factor)
        else:
            inner, other = Nodes(f"{self.prefix}::outputs/"), Nodes(f"{self.prefix}::weights/")
            sampled, direct = self._sampled(inner, factor), self._direct(other)
            result = outer.choose(few, (inner, sampled), (other, direct), name=product.array.node.name)
        result.type, result.shape = ir.TensorType(ir.DataType.FLOAT), None if shape is None else ir.Shape(shape)
        ir.convenience.replace_nodes_and_values(
            self.model.graph, product.nodes[-1], product.nodes, outer.nodes, [product.output], [result]
        )
        self.model.graph.remove(product.array.noise, safe=True)

    def _few(self, nodes: Nodes, limit: int) -> ir.Value:
        bound = self._constant("rows", (limit + 1) * self.product.shape[0])
        return nodes.op("Less", [nodes.op("Size", [self.product.x]), bound])

    def _factor(self, nodes: Nodes, few: ir.Value | None, limit: int | None) -> ir.Value:
        """U of X, made once for all products of X."""
        key = (self.product.x, limit)
        if key not in self.factors:
            inner = nodes if few is None else Nodes(f"{self.prefix}::factor/")
            factor = inner.op("GramFactor", [self.product.x], domain=DOMAIN)
            if few is not None:
                other = Nodes(f"{self.prefix}::no_factor/")
                none = other.op("Identity", [self._constant("no_factor", np.zeros((1, 1), np.float32))])
                factor = nodes.choose(few, (inner, factor), (other, none))
            self.factors[key] = factor
        return self.factors[key]

    def _sampled(self, nodes: Nodes, factor: ir.Value) -> ir.Value:
        node, noise = self.product.array.node, self.product.array.noise
        clean = self._computed(nodes, noise.inputs[0])
        std = self._constant("std", self.product.std * node.attributes.get_float("alpha", 1.0))
        source = {name: noise.attributes.get_int(name, 0) for name in ("seed", "stream")} | {"draw": DRAW}
        return nodes.op("CorrelatedNoise", [clean, factor, std, *noise.inputs[2:]], source, domain=DOMAIN)

    def _direct(self, nodes: Nodes) -> ir.Value:
        if can_fuse(self.product):
            return fused(self.model, self.product, nodes)
        return self._computed(nodes, nodes.copy(self.product.array.noise))

    def _computed(self, nodes: Nodes, weights: ir.Value | None) -> ir.Value:
        """The product with other weights."""
        value = nodes.copy(self.product.array.node, {1: weights})
        return value if self.product.add is None else nodes.copy(self.product.add, {0: value, 1: self.product.bias})

    def _constant(self, name: str, value: object) -> ir.Value:
        return new_initializer(self.model, f"{self.prefix}::{name}", np.asarray(value))
