"""Shapes with the batch size of the export baked in: made to take whatever batch comes.

The batch is followed through the graph by ONNX's own shape inference, node by node, as a symbolic dimension. Where a
constant shape ends it, the shape is rewritten, and the batch is followed further.
"""

from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from nmtool.errors import ModelError
from nmtool.passes.constants import ConstantFinder
from nmtool.passes.graphs import sites

_BATCH = "batch*"  # a dimension of that name holds the batch, times the number behind
_SHAPE_LIMIT = 64  # elements; longer constants do not decide about shapes

Setting: TypeAlias = tuple[ir.Node, int]
"""A node and the index of an input that configures it."""

_Dims: TypeAlias = list[int | str | None]
"""Dimensions: known, symbolic, or unknown."""


@dataclass(frozen=True)
class FreeBatch:
    """What to do differently, so that the batch may have any size.

    Attributes:
        shapes: inputs with shapes -> the shapes to use instead.
        repeated: arrays that an exporter has expanded to its batch -> a value with the batch, and its axis there.
    """

    shapes: dict[Setting, list[int]] = field(default_factory=dict)
    repeated: dict[Setting, tuple[ir.Value, int]] = field(default_factory=dict)


def free_batch(model: ir.Model, finder: ConstantFinder) -> FreeBatch:
    """Find where a model has its batch size baked in.

    The batch is the first dimension of the first input, where it is fixed; inputs whose first dimension equals it have
    the batch there.
    """
    inputs = [value for value in model.graph.inputs if not value.is_initializer()]
    batch = _static(inputs[0])[:1] if inputs else []
    if not batch or not isinstance(batch[0], int):
        return FreeBatch()
    if any(value.shape is None for node in model.graph for value in node.outputs):
        ShapeInferencePass()(model)
    tracer = _Tracer(model, finder, batch[0])
    for site in sites(model):
        tracer.follow(site.node)
    return tracer.result


class _Tracer:
    """The way of the batch through one model.

    Attributes:
        result: what `free_batch` returns.
    """

    def __init__(self, model: ir.Model, finder: ConstantFinder, batch: int) -> None:
        self.result = FreeBatch()
        self._opsets, self._finder, self._batch = model.graph.opset_imports, finder, batch
        self._dims: dict[ir.Value, _Dims | None] = {}

    def follow(self, node: ir.Node) -> None:
        """Find where the outputs of the node hold the batch."""
        index = {"Reshape": 1, "Resize": 3}.get(node.op_type, len(node.inputs))
        wanted = node.inputs[index] if not node.domain and index < len(node.inputs) else None
        data = self._of(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
        if data is not None and wanted is not None and self._finder.is_constant(wanted):
            shape = [int(size) for size in self._finder.tensor(wanted).numpy().tolist()]
            free = self._reshaped if node.op_type == "Reshape" else self._resized
            if (dims := free(node, data, shape)) is not None:
                self._dims[node.outputs[0]] = dims
                return
        if node.op_type == "Concat" and not node.domain:
            self._repeat(node)
        self._infer(node)

    def _of(self, value: ir.Value) -> _Dims | None:
        """Dimensions of the value; those that the file declares, with the batch in front, where they are not traced."""
        if value not in self._dims:
            dims = _static(value) if value.shape is not None else None
            if dims and dims[0] == self._batch and not self._finder.is_constant(value):
                dims = [_symbol(1), *dims[1:]]
            self._dims[value] = dims
        return self._dims[value]

    def _reshaped(self, node: ir.Node, data: _Dims, shape: list[int]) -> _Dims | None:
        """Put -1 where the reshaped batch is: behind as many elements as in the data."""
        where = _batch_axis(data)
        if where is None or any(not isinstance(size, int) for k, size in enumerate(data) if k != where):
            return None
        if not node.attributes.get_int("allowzero", 0):
            shape = [self._size(data[k]) if size == 0 else size for k, size in enumerate(shape)]
        sizes = [self._size(size) for size in data]
        if -1 in shape:
            shape[shape.index(-1)] = prod(sizes) // max(-prod(shape), 1)
        axis = next((k for k in range(len(shape)) if prod(shape[:k]) == prod(sizes[:where])), None)
        if axis is None or shape[axis] % self._batch:
            return None
        self.result.shapes[node, 1] = [-1 if k == axis else size for k, size in enumerate(shape)]
        return [_symbol(size // self._batch) if k == axis else size for k, size in enumerate(shape)]

    def _resized(self, node: ir.Node, data: _Dims, shape: list[int]) -> _Dims | None:
        """Put 0, which `resize` takes for "as it is", where the batch is."""
        where = _batch_axis(data)
        if where is None or len(shape) != len(data):
            return None
        self.result.shapes[node, 3] = [0 if k == where else size for k, size in enumerate(shape)]
        return [data[where] if k == where else size for k, size in enumerate(shape)]

    def _repeat(self, node: ir.Node) -> None:
        """Note the constants that are as long as the batch where other parts of a Concat have it."""
        parts = {value: dims for value in node.inputs if value is not None and (dims := self._of(value))}
        places = [(value, axis) for value, dims in parts.items() if (axis := _batch_axis(dims)) is not None]
        if not places or places[0][1] == node.attributes.get_int("axis", 0) % len(parts[places[0][0]]):
            return
        for index, value in enumerate(node.inputs):
            if value is None or value not in parts or not self._finder.is_constant(value):
                continue
            if parts[value][places[0][1]] == self._batch:
                self.result.repeated[node, index] = places[0]

    def _infer(self, node: ir.Node) -> None:
        if not onnx.defs.has(node.op_type, self._opsets.get(node.domain, 1), node.domain):
            return
        schema = onnx.defs.get_schema(node.op_type, self._opsets.get(node.domain, 1), node.domain)
        inputs = {index: value for index, value in enumerate(node.inputs) if value is not None}
        types = {value.name or "": self._type(value, node, index) for index, value in inputs.items()}
        data = {value.name or "": tensor for value in inputs.values() if (tensor := self._data(value)) is not None}
        opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        proto = ir.serde.serialize_node(node)
        try:
            found = onnx.shape_inference.infer_node_outputs(schema, proto, types, data, opset_imports=opsets)
        except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError):
            return  # the types that the file declares have to do
        for value in node.outputs:
            inferred = found.get(value.name or "")
            if inferred is not None and inferred.tensor_type.HasField("shape"):
                self._dims[value] = self._completed(value, [_dim(dim) for dim in inferred.tensor_type.shape.dim], node)

    def _completed(self, value: ir.Value, dims: _Dims, node: ir.Node) -> _Dims:
        """Dimensions that inference does not know of a symbolic batch (a Resize by a factor), from those declared."""
        declared = _static(value)
        if None not in dims or len(declared) != len(dims):
            return dims
        if _batch_axis(dims) is None:
            sources = [source for operand in node.inputs if operand is not None and (source := self._of(operand))]
            places = [_batch_axis(source) for source in sources if len(source) == len(dims)]
            lost = (axis for axis in (*places, 0) if axis is not None and dims[axis] is None)
            if (axis := next(lost, None)) is not None and declared[axis] == self._batch:
                dims[axis] = _symbol(1)
        return [known if dim is None else dim for dim, known in zip(dims, declared, strict=True)]

    def _type(self, value: ir.Value, node: ir.Node, index: int) -> onnx.TypeProto:
        dims = self._of(value)
        if dims is not None and (node, index) in self.result.repeated:
            _, where = self.result.repeated[node, index]
            dims = [_symbol(1) if axis == where else dim for axis, dim in enumerate(dims)]
        stored = value.const_value
        dtype = value.dtype if stored is None else stored.dtype  # initializers need no declaration
        return onnx.helper.make_tensor_type_proto(int(dtype or ir.DataType.FLOAT), dims)

    def _data(self, value: ir.Value) -> onnx.TensorProto | None:
        """Contents of a constant that may decide about shapes: axes, lengths, factors."""
        sizes = [size for size in _static(value) if isinstance(size, int)]
        if not self._finder.is_constant(value) or prod(sizes) > _SHAPE_LIMIT:
            return None
        try:
            return ir.serde.serialize_tensor(self._finder.tensor(value))
        except ModelError:  # the reference does not implement what computes it
            return None

    def _size(self, dim: int | str | None) -> int:
        """The dimension in the export."""
        if isinstance(dim, str):
            return int(dim.removeprefix(_BATCH)) * self._batch
        assert dim is not None
        return dim


def _static(value: ir.Value) -> _Dims:
    return [size if isinstance(size, int) else None for size in value.shape or ()]


def _symbol(factor: int) -> str:
    return f"{_BATCH}{factor}"


def _batch_axis(dims: _Dims) -> int | None:
    return next((k for k, dim in enumerate(dims) if isinstance(dim, str)), None)


def _dim(dim: onnx.TensorShapeProto.Dimension) -> int | str | None:
    if dim.dim_param.startswith(_BATCH):
        return dim.dim_param
    return dim.dim_value if dim.HasField("dim_value") else None
