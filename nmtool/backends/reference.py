"""onnx's own ReferenceEvaluator: slow, in numpy, and the definition of what an operator does."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from nmtool import model as model_files
from nmtool.backends import Array, Port
from nmtool.errors import ModelError
from nmtool.model import ModelSource


def load(model: ModelSource) -> "ReferenceRunner":
    """Load a model into the reference evaluator.

    Raises:
        ModelError: the file is not a model, or has operators the evaluator does not know.
    """
    loaded = ir.external_data.load_to_model(model_files.load(model))
    try:
        return ReferenceRunner(ir.to_proto(loaded))
    except Exception as error:  # the evaluator's errors have no common base
        raise ModelError(f"onnx's reference evaluator cannot load the model: {error}") from error


class ReferenceRunner:
    """A ReferenceEvaluator as a Runner."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self._evaluator = ReferenceEvaluator(proto)
        defaults = {tensor.name for tensor in proto.graph.initializer}
        ports = [_port(info, info.name in defaults) for info in proto.graph.input]
        self.inputs: Mapping[str, Port] = {port.name: port for port in sorted(ports, key=lambda port: port.optional)}
        self.outputs: Sequence[str] = [output.name for output in proto.graph.output]
        self.metadata: Mapping[str, str] = {prop.key: prop.value for prop in proto.metadata_props}
        self.description = f"onnx reference evaluator {onnx.__version__}"
        self.library = False

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """See Runner.run."""
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):  # numpy's, of overflows
                results: Any = self._evaluator.run(list(outputs), dict(feeds))
        except Exception as error:  # whatever the numpy implementation of an operator raises
            raise ModelError(f"onnx's reference evaluator failed to run the model: {error}") from error
        return [np.asarray(result) for result in results]


def _port(info: onnx.ValueInfoProto, optional: bool) -> Port:
    if not info.type.HasField("tensor_type"):
        return Port(info.name, None, None, optional)
    tensor = info.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return Port(info.name, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type), shape, optional)
