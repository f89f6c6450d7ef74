"""Sampling the noise of a product's outputs instead of that of its weights: the same distribution, fewer numbers.

For X [M, K] and weights [K, N] with independent noise, of standard deviation s_n in output channel n, the noise of the
outputs is Gaussian, independent between channels, and in channel n its covariance between rows is s_n^2 X X^T. So with
the Cholesky factor U of X X^T = U^T U and independent standard normals Z [M, N],

    X W + U^T (s Z)

has exactly the distribution of one noisy weight matrix that is applied to all M rows. It takes M N normals instead of
K N, and leaves W constant, so that the runtime packs it in advance; but U and its product grow with M^2.
"""

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.ops import DOMAIN
from nmtool.passes.inference import Inference
from nmtool.passes.lowering.arrays import NoisyArray, new_initializer, noisy_arrays
from nmtool.passes.lowering.crossover import rows_where_outputs_are_cheaper
from nmtool.passes.lowering.nodes import Nodes

_DRAW = 255  # number of the draw on the array's stream: apart from those on its weights
_OPSET = 11  # from here on Gemm needs no C


class SampleOutputs(ir.passes.InPlacePass):
    """Sample the outputs of MatMul and Gemm where that is possible and, unless it is forced, cheaper.

    1. Possible: the array is the right operand, no other node draws on it, its noise has one size in each channel, and
       the model's opset is at least 11.
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
            name = array.node.name or ""
            reason = f"outputs can be sampled from opset {_OPSET} on" if opset < _OPSET else _why_not(array)
            if reason is not None:
                self.kept[name] = reason
                continue
            product = _product(array, inference)
            limit = None if self.force else rows_where_outputs_are_cheaper(*product.shape)
            rows = product.rows
            if limit is not None and (limit == 0 or (rows is not None and rows > limit)):
                self.kept[name] = f"cheaper: its outputs are so up to {limit} rows"
                continue
            self.sampled[name] = limit if rows is None else None
            _Rewriter(model, product, factors).replace(self.sampled[name])
        return ir.passes.PassResult(model, bool(self.sampled))


def _why_not(array: NoisyArray) -> str | None:
    """Why the outputs of the node that the array is in cannot be sampled, or None."""
    node = array.node
    if node.domain or node.op_type not in ("MatMul", "Gemm") or array.operand != 1 or array.weights.ndim != 2:
        return "only MatMul and Gemm by a matrix on the right have outputs that can be sampled"
    if not array.alone:
        return "other nodes draw on the same array"
    if node.attributes.get_int("transA", 0) != 0:
        return "its left operand is transposed"
    if array.channel_std(_channel_axis(node)) is None:
        return "its noise differs inside a channel"
    return None


def _channel_axis(node: ir.Node) -> int:
    return 0 if node.attributes.get_int("transB", 0) != 0 else 1


@dataclass(frozen=True, eq=False)
class _Product:
    """X W, or a Gemm.

    Attributes:
        array: the array of W.
        x: X, of any rank; its last axis has K elements.
        rank: of X, or None.
        rows: M, product of the axes of X but the last, or None.
        shape: K and N.
        std: standard deviation of all channels, [1], or of each, [N].
        shape_of_output: of X W, as far as it is known.
    """

    array: NoisyArray
    x: ir.Value
    rank: int | None
    rows: int | None
    shape: tuple[int, int]
    std: NDArray[np.float32]
    shape_of_output: ir.Shape | None


def _product(array: NoisyArray, inference: Inference) -> _Product:
    node, x = array.node, array.node.inputs[0]
    axis = _channel_axis(node)
    std = array.channel_std(axis)
    assert x is not None
    assert std is not None
    shape = inference.shape(x)
    known = None if shape is None else [size for size in shape[:-1] if size is not None]
    rows = math.prod(known) if shape is not None and known is not None and len(known) == len(shape) - 1 else None
    sizes = array.weights.shape
    output = None if shape is None else ir.Shape([*shape[:-1], sizes[axis]])
    return _Product(array, x, None if shape is None else len(shape), rows, (sizes[1 - axis], sizes[axis]), std, output)


class _Rewriter:
    """Replaces one product."""

    def __init__(
        self, model: ir.Model, product: _Product, factors: dict[tuple[ir.Value, int | None], ir.Value]
    ) -> None:
        self.model = model
        self.product = product
        self.factors = factors  # shared by the products of the same X
        self.node = product.array.node
        self.prefix = self.node.outputs[0].name or ""

    def replace(self, limit: int | None) -> None:
        """Sample outputs always (None), or up to `limit` rows."""
        graph, noise, node = self.model.graph, self.product.array.noise, self.node
        outer = Nodes(f"{self.prefix}::")
        flat = self._flat(outer)
        few = None if limit is None else self._few(outer, limit)
        factor = self._factor(outer, flat, few, limit)
        if few is None:
            result = self._sampled(outer, flat, factor)
        else:
            inner, other = Nodes(f"{self.prefix}::outputs/"), Nodes(f"{self.prefix}::weights/")
            sampled = self._sampled(inner, flat, factor)
            direct = other.copy(node, {0: flat, 1: other.copy(noise)})
            result = outer.choose(few, (inner, sampled), (other, direct), name=node.name)
        result = self._unflat(outer, result)
        result.type, result.shape = ir.TensorType(ir.DataType.FLOAT), self.product.shape_of_output
        ir.convenience.replace_nodes_and_values(graph, node, [node], outer.nodes, node.outputs, [result])
        graph.remove(noise, safe=True)

    def _flat(self, nodes: Nodes) -> ir.Value:
        """X as a matrix."""
        x = self.product.x
        if self.product.rank == 2:
            return x
        return nodes.op("Reshape", [x, self._constant("matrix", [-1, self.product.shape[0]])])

    def _unflat(self, nodes: Nodes, matrix: ir.Value) -> ir.Value:
        """The outputs in the shape of X but for its last axis."""
        if self.product.rank == 2:
            return matrix
        ends = [self._constant(name, [value]) for name, value in (("first", 0), ("last", -1))]
        leading = nodes.op("Slice", [nodes.op("Shape", [self.product.x]), *ends])
        shape = nodes.op("Concat", [leading, self._constant("channels", [self.product.shape[1]])], {"axis": 0})
        return nodes.op("Reshape", [matrix, shape])

    def _few(self, nodes: Nodes, limit: int) -> ir.Value:
        bound = self._constant("rows", (limit + 1) * self.product.shape[0])
        return nodes.op("Less", [nodes.op("Size", [self.product.x]), bound])

    def _factor(self, nodes: Nodes, flat: ir.Value, few: ir.Value | None, limit: int | None) -> ir.Value:
        """U of X, made once for all products of X."""
        key = (self.product.x, limit)
        if key not in self.factors:
            inner = nodes if few is None else Nodes(f"{self.prefix}::factor/")
            gram = inner.op("Gemm", [flat, flat], {"transB": 1})
            factor = inner.op("Cholesky", [gram], domain=DOMAIN)
            if few is not None:
                other = Nodes(f"{self.prefix}::no_factor/")
                none = other.op("Identity", [self._constant("no_factor", np.zeros((1, 1), np.float32))])
                factor = nodes.choose(few, (inner, factor), (other, none))
            self.factors[key] = factor
        return self.factors[key]

    def _sampled(self, nodes: Nodes, flat: ir.Value, factor: ir.Value) -> ir.Value:
        noise = self.product.array.noise
        clean = nodes.copy(self.node, {0: flat, 1: noise.inputs[0]})
        std = self._constant("std", self.product.std)
        source = {name: noise.attributes.get_int(name, 0) for name in ("seed", "stream")} | {"draw": _DRAW}
        normals = nodes.op("GaussianLike", [clean, std, *noise.inputs[2:]], source, domain=DOMAIN)
        scaling = {"transA": 1, "alpha": self.node.attributes.get_float("alpha", 1.0)}
        return nodes.op("Gemm", [factor, normals, clean], scaling)

    def _constant(self, name: str, value: object) -> ir.Value:
        return new_initializer(self.model, f"{self.prefix}::{name}", np.asarray(value))
