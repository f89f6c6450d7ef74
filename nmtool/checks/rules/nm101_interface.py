"""Inputs and outputs are those of the original.

Same names, in the same order, of the same types and shapes; the two inputs of the noise, which have defaults, come
besides. Otherwise the code that calls the original does not work with the model.

To fix: find the step that renamed, removed or retyped the value; nmtool's own verbs never do.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import onnx

from nmtool.checks.finding import Finding, error
from nmtool.checks.structure import NO_ORIGINAL, pair
from nmtool.checks.subject import Subject

_Values: TypeAlias = Sequence[onnx.ValueInfoProto]

_FIX = "find the step that changed it, and repeat the others without"


def check(subject: Subject) -> Iterator[Finding]:
    """Compare the declared inputs and outputs."""
    both = pair(subject)
    if both is None:
        yield NO_ORIGINAL
        return
    for kind in ("input", "output"):
        yield from _compare(kind, getattr(both.ours.graph, kind), getattr(both.original.graph, kind))


def _compare(kind: str, ours: _Values, original: _Values) -> Iterator[Finding]:
    names, before = [value.name for value in ours], [value.name for value in original]
    if names != before:
        yield error(f"{kind}s are {', '.join(names)}; the original's are {', '.join(before)}", _FIX)
        return
    for value, source in zip(ours, original, strict=True):
        if _type(value) != _type(source):
            yield error(f"{kind} {value.name!r} is {_type(value)}; the original's is {_type(source)}", _FIX)


def _type(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return str(value.type.WhichOneof("value"))
    name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    if not tensor.HasField("shape"):
        return f"{name} of any rank"
    dims = (str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim)
    return f"{name}[{','.join(dims)}]"
