"""onnx's own ReferenceEvaluator: slow, in numpy, and the definition of what an operator does."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from nmtool import model as model_files
from nmtool.backends.reference_ops import corrections
from nmtool.backends.runner import Array, Port, ports
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
        raise ModelError(f"onnx's reference evaluator cannot load the model: {error}") from error


class ReferenceRunner:
    """A ReferenceEvaluator as a Runner."""

    def __init__(self, model: ir.Model) -> None:
        corrected = corrections(model.opset_imports.get("", 0))
        self._evaluator = ReferenceEvaluator(model_files.to_proto(model), new_ops=corrected)
        self.inputs: Mapping[str, Port] = ports(model)
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
            raise ModelError(f"onnx's reference evaluator failed to run the model: {error}") from error
        return [np.asarray(result) for result in results]
