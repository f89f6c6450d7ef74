"""The graph is the original's.

Apart from the values of arrays, the model without its noise has the nodes of the original: the same names, operators,
attributes and connections in the same order, the same arrays of the same types and shapes, and the same opsets. Then
everything that is known of the original (its tests, its calibration, its place in a pipeline) still holds.

To fix: start from the original, and let nmtool's verbs be the only ones that change it. If another step has to come
first, such as an optimizer, check against that step's output instead.
"""

from collections.abc import Iterator

import onnx

from nmtool.checks.finding import Finding, error, note
from nmtool.checks.structure import NO_ORIGINAL, Pair, initializers, nodes, pair
from nmtool.checks.subject import Subject

_FIX = "start from the original again, or check --against the file that really came before"
_SHOWN = 5


def check(subject: Subject) -> Iterator[Finding]:
    """Compare nodes, arrays and opsets."""
    both = pair(subject)
    if both is None:
        yield NO_ORIGINAL
        return
    for said in both.notes:
        yield note(f"the original was {said}")
    differences = [*_opsets(both), *_arrays(both), *_nodes(both)]
    for message in differences[:_SHOWN]:
        yield error(message, _FIX)
    if len(differences) > _SHOWN:
        yield error(f"{len(differences) - _SHOWN} more differences of the graph", _FIX, differences=differences)


def _opsets(both: Pair) -> Iterator[str]:
    ours, original = (
        {entry.domain: entry.version for entry in each.opset_import} for each in (both.ours, both.original)
    )
    if ours != original:
        yield f"opsets are {ours}; the original's are {original}"


def _arrays(both: Pair) -> Iterator[str]:
    ours, original = initializers(both.ours), initializers(both.original)
    yield from (f"array {name!r} is gone" for name in original.keys() - ours.keys())
    yield from (f"array {name!r} is not in the original" for name in ours.keys() - original.keys())
    for name in original.keys() & ours.keys():
        if ours[name] != original[name]:
            yield f"array {name!r} is {_kind(ours[name])}; the original's is {_kind(original[name])}"


def _nodes(both: Pair) -> Iterator[str]:
    ours, original = list(nodes(both.ours)), list(nodes(both.original))
    labels, before = [node.label for node in ours], [node.label for node in original]
    if labels != before:
        gone, new = sorted(set(before) - set(labels)), sorted(set(labels) - set(before))
        yield from (f"node {label!r} is gone" for label in gone)
        yield from (f"node {label!r} is not in the original" for label in new)
        if not gone and not new:
            yield "the nodes are in another order"
        return
    for node, source in zip(ours, original, strict=True):
        if node.proto != source.proto:
            yield f"node {node.label!r} differs in {_difference(node.proto, source.proto)}"


def _difference(ours: object, original: object) -> str:
    parts = {"op_type": "its operator", "input": "its inputs", "output": "its outputs", "attribute": "its attributes"}
    changed = [words for field, words in parts.items() if getattr(ours, field) != getattr(original, field)]
    return ", ".join(changed) or "its description"


def _kind(array: tuple[int, tuple[int, ...]]) -> str:
    dtype, shape = array
    return f"{onnx.TensorProto.DataType.Name(dtype).lower()}[{','.join(map(str, shape))}]"
