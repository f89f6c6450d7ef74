"""Lift a model to a higher opset, so that its noise is exact without the library."""

import numpy as np
import onnx
import onnx_ir as ir
from onnx import version_converter

from nmtool.errors import ModelError, SetupError, UsageError
from nmtool.probe import random_inputs

_TOLERANCE = 1e-4


def lift(model: ir.Model, opset: int) -> tuple[ir.Model, list[str]]:
    """Convert a model to `opset` of ai.onnx with the official version converter, and compare the two.

    Returns:
        The lifted model, and notes for the report.

    Raises:
        UsageError: the opset is lower than the model's, or newer than the installed onnx knows.
        ModelError: the converter cannot convert the model, or the result computes something else.
    """
    current = model.opset_imports.get("", 0)
    newest = onnx.defs.onnx_opset_version()
    if not current <= opset <= newest:
        raise UsageError(f"--opset must be from {current} (the model's) to {newest}, not {opset}")
    if opset == current:
        return model, []
    try:
        proto = version_converter.convert_version(ir.to_proto(model), opset)
    except (RuntimeError, ValueError) as error:  # what the converter's C++ raises
        raise ModelError(
            f"the version converter cannot lift the model from opset {current} to {opset}: {error}",
            hint="export the model again at a higher opset, or inject it as it is",
        ) from error
    lifted = ir.from_proto(proto)
    return lifted, [f"lifted from opset {current} to {opset}; {_compare(model, lifted)}"]


def _compare(before: ir.Model, after: ir.Model) -> str:
    """Run both on random inputs; a statement for the report."""
    from nmtool.backends import ort

    try:
        sessions = [ort.session(model, library=False) for model in (before, after)]
    except SetupError:
        return "not compared: onnxruntime is not installed"
    feeds = random_inputs(before)
    expected, actual = (session.run(None, feeds) for session in sessions)
    worst = 0.0
    for name, a, b in zip((output.name for output in before.graph.outputs), expected, actual, strict=True):
        if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
            continue
        if a.shape != b.shape or not np.allclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise ModelError(
                f"the version converter changed what the model computes: output {name!r}",
                hint="export the model again at a higher opset, or inject it as it is",
            )
        worst = max(worst, float(np.max(np.abs(a - b), initial=0)))
    return f"outputs on random inputs differ by at most {worst:.1e}"
