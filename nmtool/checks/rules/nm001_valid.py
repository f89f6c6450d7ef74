"""The file is valid ONNX.

onnx's own checker has nothing to say about it: every node has a schema or a function, its attributes and inputs fit
it, names are unique, and the graph is sorted. Strict shape inference finds no contradiction either: types and shapes
agree all over the graph, and with what the file declares.

Runtimes are more lenient, each in its own way: what one accepts by accident another refuses.

To fix: export the model again with a newer exporter. `onnx.checker.check_model(path, full_check=True)` shows the same.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from nmtool.checks.finding import Finding, error, not_checked
from nmtool.checks.rules.nm003_external_data import problems
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError

_FIX = "export the model again with a newer exporter"


def check(subject: Subject) -> Iterator[Finding]:
    """Run the checker, strict shape inference, and what nmtool itself asks of a model."""
    if any(problems(subject)):
        yield not_checked("the checker reads external data, which is not in order", "see NM003")
        return
    reasons = (run(subject) for run in (_checker, _inference, _soundness))
    if reason := next(filter(None, reasons), ""):  # what follows is mostly the same again
        yield error(reason, _FIX)


def _checker(subject: Subject) -> str:
    try:
        model = subject.request.model
        onnx.checker.check_model(model if isinstance(model, onnx.ModelProto) else os.fspath(model))
    except (onnx.checker.ValidationError, ValueError) as failure:
        return f"the checker refuses it: {_one_line(failure)}"
    return ""


def _inference(subject: Subject) -> str:
    model = subject.request.model
    try:
        if isinstance(model, onnx.ModelProto):
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        else:
            with TemporaryDirectory(prefix="nmtool-") as folder:
                inferred = Path(folder) / "inferred.onnx"
                onnx.shape_inference.infer_shapes_path(
                    os.fspath(model), str(inferred), check_type=True, strict_mode=True, data_prop=True
                )
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError) as failure:
        return f"strict shape inference fails: {_one_line(failure)}"
    return ""


def _soundness(subject: Subject) -> str:
    try:
        _ = subject.model
    except ModelError as failure:
        return failure.message
    return ""


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split())[:300]
