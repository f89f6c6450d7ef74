"""Building small models from ONNX's textual syntax and numpy arrays."""

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray

MICROSOFT = "com.microsoft"


def weights(*shape: int, seed: int = 0, dtype: type = np.float32) -> NDArray:
    """Random weights; the seed also depends on the shape, so that two arrays of a model differ."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def model(
    text: str, *, opset: int = 18, ir_version: int = 10, imports: tuple[str, ...] = (), **arrays: ArrayLike
) -> onnx.ModelProto:
    """The model `text` (a graph, then functions of domain f), with `arrays` as initializers of the main graph.

    Outputs without a type get the inferred one.
    """
    domains = ", ".join([f'"" : {opset}', *(f'"{domain}" : 1' for domain in imports)])
    proto = onnx.parser.parse_model(f"<ir_version: {ir_version}, opset_import: [{domains}]>\n{text}")
    for name, array in arrays.items():
        tensor = array if isinstance(array, onnx.TensorProto) else onnx.numpy_helper.from_array(np.asarray(array), name)
        proto.graph.initializer.append(tensor)
    inferred = onnx.shape_inference.infer_shapes(proto)
    for output, found in zip(proto.graph.output, inferred.graph.output, strict=True):
        output.type.CopyFrom(found.type)
    return proto


def function(text: str, *, opset: int = 18) -> str:
    """A model-local function of domain f, to follow the graph."""
    return f'<domain: "f", opset_import: ["" : {opset}, "f" : 1]>\n{text}\n'


def constant(array: NDArray) -> str:
    """A Constant node's right-hand side with a float array."""
    shape = ",".join(map(str, array.shape))
    values = ", ".join(repr(float(v)) for v in array.reshape(-1))
    return f"Constant <value = float[{shape}] {{{values}}}> ()"
