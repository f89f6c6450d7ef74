"""onnx's own ReferenceEvaluator: slow, in numpy, and the definition of what an operator does."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from nmtool import model as model_files
from nmtool.backends.engine import first_line
from nmtool.backends.ports import all_ports
from nmtool.backends.runner import Array, Port
from nmtool.errors import ModelError
from nmtool.model import ModelSource


def version() -> str:
    """Name and version; onnx is always installed."""
    return f"onnx reference evaluator {onnx.__version__}"


def load(model: ModelSource) -> "ReferenceRunner":
    """Load a model into the reference evaluator.

    Raises:
        ModelError: the file is not a model, or has operators the evaluator does not know.
    """
    loaded = ir.external_data.load_to_model(model_files.load(model))
    try:
        return ReferenceRunner(loaded)
    except Exception as error:  # the evaluator's errors have no common base
        raise ModelError(f"onnx's reference evaluator cannot load the model: {first_line(error)}") from error


class ReferenceRunner:
    """A ReferenceEvaluator as a Runner."""

    def __init__(self, model: ir.Model) -> None:
        corrected: list[type[OpRun]] = [BatchNormalization] if model.graph.opset_imports.get("", 14) < 14 else []
        self._evaluator = ReferenceEvaluator(model_files.to_proto(model), new_ops=corrected)
        self.inputs: Mapping[str, Port] = all_ports(model)
        self.outputs: Sequence[str] = [output.name or "" for output in model.graph.outputs]
        self.metadata: Mapping[str, str] = model.metadata_props
        self.description = version()
        self.library = False

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """See Runner.run."""
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):  # overflows are the model's own
                results: Any = self._evaluator.run(list(outputs), dict(feeds))
        except Exception as error:  # whatever the numpy implementation of an operator raises
            raise ModelError(f"onnx's reference evaluator failed to run the model: {first_line(error)}") from error
        return [np.asarray(result) for result in results]


class BatchNormalization(OpRun):
    """Inference with the running statistics; the evaluator mixes those of the batch into them below opset 14."""

    op_domain = ""

    def _run(
        self, x: Array, scale: Array, bias: Array, mean: Array, var: Array, epsilon: float = 1e-5, **_: Any
    ) -> tuple[Array]:
        shape = (-1, *[1] * (x.ndim - 2))
        scale, bias, mean, var = (each.reshape(shape) for each in (scale, bias, mean, var))
        return (np.asarray(scale * (x - mean) / np.sqrt(var + epsilon) + bias, x.dtype),)
