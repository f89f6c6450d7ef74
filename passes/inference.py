"""Types and shapes of the values of a model."""

import onnx
import onnx_ir as ir

from nmtool.passes.graphs import FullNames, graphs

Shape = tuple[int | None, ...]

_SHAPE_BYTES = 1024  # smaller arrays may be the shapes and axes that other shapes depend on


class Inference:
    """What shape inference finds out about the values of one model, without changing it."""

    def __init__(self, model: ir.Model) -> None:
        """Infer on a copy of `model`; tensors are shared."""
        self._full_name = FullNames(model)
        self._found: dict[str, ir.Value] = {}
        for graph, path in graphs(_inferred(model)):
            for value in (*graph.inputs, *graph.initializers.values(), *(o for node in graph for o in node.outputs)):
                self._found[f"{path}{value.name}"] = value

    def shape(self, value: ir.Value | None) -> Shape | None:
        """The shape, a dimension that is not a number as None; None where the rank is not known."""
        if value is None:
            return None
        found = self._found.get(self._full_name(value))
        if found is None or found.shape is None:
            return None
        return tuple(d if isinstance(d, int) and d >= 0 else None for d in found.shape)

    def dtype(self, value: ir.Value) -> ir.DataType | None:
        """The type of the elements, or None where it is not known."""
        found = self._found.get(self._full_name(value))
        return None if found is None else found.dtype

    def is_tensor(self, value: ir.Value) -> bool:
        """Whether the value is, for all that is known, a tensor; not a sequence, a map or an optional one."""
        found = self._found.get(self._full_name(value))
        kind = None if found is None else found.type
        return kind is None or (isinstance(kind, ir.TensorType) and kind.dtype != ir.DataType.UNDEFINED)


def _inferred(model: ir.Model) -> ir.Model:
    """A copy with inferred types and shapes, without large arrays: onnx could not take them, and does not look at them.

    Where a node cannot be inferred, the others are; where the model as a whole cannot, it is as declared.
    """
    bare = model.clone()
    for name, value in list(bare.graph.initializers.items()):
        if value.const_value is not None and value.const_value.nbytes > _SHAPE_BYTES:
            bare.graph.initializers.pop(name)
            if not value.is_graph_input():
                bare.graph.inputs.append(value)
    try:
        return ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(bare), data_prop=True))
    except (RuntimeError, ValueError, onnx.shape_inference.InferenceError):  # malformed, or more than 2 GiB
        return bare
