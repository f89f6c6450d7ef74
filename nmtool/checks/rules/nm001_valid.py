"""The file is valid ONNX.

The full check of onnx's own checker: every node has a schema or a function, its attributes and inputs fit it, and
types and shapes agree all over the graph. Beyond it, the graph must be sorted, and every stored array must be as long
as its shape says.

Runtimes are more lenient than the checker, each in its own way: what one accepts by accident another refuses.

To fix: export the model again with a newer exporter; onnx.checker.check_model(path, full_check=True) shows all of it.
"""

from collections.abc import Iterator

from nmtool.checks.finding import Finding, error
from nmtool.checks.subject import Subject

_FIX = "export the model again; `nmtool explain NM001` has more"


def check(subject: Subject) -> Iterator[Finding]:
    """Run the checker."""
    yield error("not yet", _FIX)
