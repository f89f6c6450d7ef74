"""Types and shapes of the values of a model."""

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from nmtool.passes.graphs import FullNames, graphs

Shape = tuple[int | None, ...]


class Inference:
    """What shape inference finds out about the values of one model, without changing it."""

    def __init__(self, model: ir.Model) -> None:
        """Infer on a copy of `model`; tensors are shared."""
        self._full_name = FullNames(model)
        inferred = ShapeInferencePass()(model.clone()).model
        self._found: dict[str, ir.Value] = {}
        for graph, path in graphs(inferred):
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
