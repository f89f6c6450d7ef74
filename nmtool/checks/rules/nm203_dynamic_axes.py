"""Dimensions that are declared open take other sizes.

Every dimension of the inputs that is a symbol, or nothing, is tried at other sizes: 1, 2 and 3 for the batch, half and
double for others. A symbol that several inputs have is changed in all of them. The model must run, and its outputs must
have the shapes that it declares.

Exporters declare what they are told to, while shapes of the example may have become constants inside: such a model runs
until the first user comes with a batch of two. That a length or an image cannot have any size may be right, since
networks halve them several times; this is a warning.

To fix: export again with dynamic axes (dynamic_shapes in torch) and without Python numbers made from shapes; or declare
the dimension as the number that it is. `onnx.shape_inference` tells the outputs' shapes.
"""

import re
from collections.abc import Iterator, Mapping

import onnx_ir as ir

from nmtool.backends import Array
from nmtool.checks.dimensions import Dimension, open_dimensions
from nmtool.checks.finding import Finding, brief, error, note, warning
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError

_BATCHES = (1, 2, 3)
_FIX = "export with dynamic axes, or declare the dimension as a number"
_NODE = re.compile(r"Name:'([^']+)'")  # as ONNX Runtime names it


def check(subject: Subject) -> Iterator[Finding]:
    """Try other sizes."""
    dimensions = open_dimensions(subject.clean)
    if not dimensions:
        yield note("all dimensions of the inputs are numbers")
    taken = []
    for dimension in dimensions:
        now = dimension.size(subject.feeds)
        sizes = _BATCHES if dimension.batch else sorted({max(now // 2, 1), 2 * now})
        refused = [_tried(subject, dimension, size) for size in sizes]
        yield from (finding for findings in refused for finding in findings)
        taken += [f"{dimension.name} {size}" for size, findings in zip(sizes, refused, strict=True) if not findings]
    if taken:
        yield note(f"the model runs with {', '.join(taken)}", taken=taken)


def _tried(subject: Subject, dimension: Dimension, size: int) -> list[Finding]:
    feeds = dimension.resized(subject.feeds, size)
    what = f"{'batch' if dimension.batch else 'dimension'} {dimension.name!r}"
    try:
        results = subject.on("onnxruntime", "clean").run(subject.outputs, feeds, trial=0, scale=1.0)
    except ModelError as failure:
        reason, node = brief(failure.message), _NODE.search(failure.message)
        where = f" at node {node[1]}" if node else ""
        found = error if dimension.batch else warning
        return [found(f"{what} cannot be {size}{where}: {reason}", _FIX, node=node[1] if node else None, size=size)]
    shapes = dict(zip(subject.outputs, results, strict=True))
    return [
        error(f"with {what} of {size}, {difference}", "declare the shape that it has, or leave it open", size=size)
        for difference in _other_shapes(subject.clean, feeds, shapes)
    ]


def _other_shapes(model: ir.Model, feeds: Mapping[str, Array], results: Mapping[str, Array]) -> Iterator[str]:
    """The outputs that have not the shape that is declared."""
    sizes: dict[str, int] = {}
    for value in model.graph.inputs:
        if (array := feeds.get(value.name or "")) is not None:
            symbols = zip(value.shape or (), array.shape, strict=False)
            sizes |= {dim.value: size for dim, size in symbols if isinstance(dim, ir.SymbolicDim) and dim.value}
    for value in model.graph.outputs:
        result = results.get(value.name or "")
        if result is None or value.shape is None:
            continue
        wanted, actual = [_size(dim, sizes) for dim in value.shape], result.shape
        if len(wanted) != len(actual) or any(a not in (None, b) for a, b in zip(wanted, actual, strict=True)):
            declared = ", ".join(str(dim) for dim in value.shape)
            yield f"output {value.name!r} is {list(actual)}, and declared as [{declared}]"


def _size(dim: int | ir.SymbolicDim, sizes: Mapping[str, int]) -> int | None:
    if isinstance(dim, int):
        return dim if dim >= 0 else None
    return sizes.get(dim.value or "")
