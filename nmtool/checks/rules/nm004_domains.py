"""Every operator is standard, or the file or the runtime has it.

Operators outside ai.onnx and ai.onnx.ml need a model-local function, or a library that the host registers. Without
either, no runtime can execute the node. com.microsoft belongs to ONNX Runtime: other runtimes do not have it, which is
a warning. Layouts that ONNX Runtime writes when it saves an optimized model (com.microsoft.nchwc) fit one kind of
processor only.

To fix: export without custom operators, add functions for them, or check with --custom-ops library.so and ship that
library. Save optimized models at level `extended` or below.
"""

from collections.abc import Iterator

import onnx

from nmtool.checks.finding import Finding, error, note, warning
from nmtool.checks.subject import Subject
from nmtool.soundness import all_graphs, subgraphs

_STANDARD = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"}


def check(subject: Subject) -> Iterator[Finding]:
    """Look at every node's operator."""
    functions = {(function.domain, function.name) for function in subject.proto.functions}
    users: dict[tuple[str, str], str] = {}
    for node in nodes(subject.proto):
        operator = (node.domain, node.op_type)
        if node.domain not in _STANDARD and operator not in functions:
            users.setdefault(operator, node.name or next(iter(node.output), ""))
    for (domain, op_type), user in users.items():
        what = f"node {user!r} is a {domain}::{op_type}"
        if domain == "com.microsoft.nchwc":
            yield error(
                f"{what}, which fits one kind of processor only", "save the model at a lower optimization level"
            )
        elif domain == "com.microsoft":
            yield warning(f"{what}, which only ONNX Runtime has", "export without ONNX Runtime's optimizer")
        elif domain == "nmtool":
            continue  # NM005
        elif subject.request.custom_ops:
            yield note(f"{what}, which must come from the libraries that were given")
        else:
            yield error(f"{what}, of which nothing is known", "give its library with --custom-ops, or add a function")


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those of subgraphs and functions included."""
    for graph in all_graphs([model.graph]):
        yield from graph.node
    for function in model.functions:
        yield from function.node
        for graph in subgraphs(function.node):
            yield from graph.node
