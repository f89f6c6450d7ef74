"""Running models in the tests: ONNX Runtime (with or without the operator library) and onnx's reference evaluator."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from nmtool.errors import SetupError
from nmtool.library import library_path

Feeds = Mapping[str, NDArray]
Model = onnx.ModelProto | ir.Model


def to_proto(model: Model) -> onnx.ModelProto:
    return model if isinstance(model, onnx.ModelProto) else ir.to_proto(model)


def noise(trial: int = 0, scale: float = 1.0) -> dict[str, NDArray]:
    """The feeds that select a noise sample."""
    return {"noise_trial": np.array(trial, np.int64), "noise_scale": np.array(scale, np.float32)}


def has_library() -> bool:
    try:
        library_path()
    except SetupError:
        return False
    return True


def session(model: Model, *, library: bool = False, threads: int = 1) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    # More would replace DequantizeLinear and MatMul by an integer kernel, which is less accurate.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if library:
        options.register_custom_ops_library(str(library_path()))
    return ort.InferenceSession(to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_ort(model: Model, feeds: Feeds, *, library: bool = False, threads: int = 1) -> list[NDArray]:
    return session(model, library=library, threads=threads).run(None, dict(feeds))


def run_reference(model: Model, feeds: Feeds) -> list[NDArray]:
    proto = to_proto(model)
    defaults = {value.name: onnx.numpy_helper.to_array(value) for value in proto.graph.initializer}
    inputs = {value.name for value in proto.graph.input}  # the evaluator takes no defaults of inputs
    given = {name: array for name, array in defaults.items() if name in inputs} | dict(feeds)
    with np.errstate(over="ignore"):  # the generator's products wrap around
        return [np.asarray(y) for y in ReferenceEvaluator(proto).run(None, given)]
