"""Arrays stored in a ModelProto: finding them by name, and giving them new values while nothing else changes.

This works on the protobuf message itself, not on onnx_ir's view of it: reading and writing through that adds value
infos and drops fields that are set to their defaults, and a re-imported model must be the source to the byte.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.errors import ModelError

PAYLOAD_FIELDS = (
    *("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"),
    "external_data",
)
"""The fields of a TensorProto that hold its values, or say where they are."""

_BLOCK = 1 << 18  # elements
_ALIGNMENT = 4096  # runtimes map data files page by page


@dataclass(frozen=True)
class Change:
    """How the values of one array changed; norms are L2, in the array's units.

    Attributes:
        name: full name of the array.
        dtype: its type in the model.
        shape: its shape.
        norm: norm of the values before.
        change: norm of the difference.
        rounding: norm of what was lost by rounding the new values to `dtype`.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    norm: float
    change: float
    rounding: float


def stored_arrays(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Initializers and tensors of Constant nodes with their full names, as in nmtool.passes.graphs.FullNames."""
    yield from _arrays(model.graph.initializer, model.graph.node, "")
    for function in model.functions:
        overload = f":{function.overload}" if function.overload else ""
        yield from _arrays((), function.node, f"{function.domain}::{function.name}{overload}/")


def blocks(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The elements of an array in storage order, in blocks: what is made of these stays small."""
    flat = values.reshape(-1)
    yield from (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))


def replace(name: str, tensor: onnx.TensorProto, values: NDArray[Any], folder: Path) -> Change:
    """Give the tensor new values, of its own shape, rounded to its own type; an external tensor gets them inline.

    Values equal to the stored ones leave the tensor as it is.

    Args:
        name: full name of the array.
        tensor: what to change.
        values: the new values.
        folder: where external data is relative to.

    Raises:
        ModelError: the shape differs, the values are not of the same kind, are not finite or do not fit in the type.
    """
    stored = ir.serde.deserialize_tensor(tensor, str(folder))
    before = np.asarray(stored.numpy())
    if values.shape != before.shape:
        raise ModelError(f"array {name!r} has shape {list(before.shape)}, its new values have {list(values.shape)}")
    if not _same_kind(values.dtype, stored.dtype):
        raise ModelError(f"array {name!r} is of type {stored.dtype.name}, its new values are {values.dtype}")
    with np.errstate(over="ignore"):
        after = values.astype(before.dtype)
    dtype = stored.dtype.name.lower()
    if after.tobytes() == before.tobytes():
        return Change(name, dtype, before.shape, _norm(before), 0.0, _norm(after, values))
    for array, what in ((values, "finite"), (after, f"in the range of {stored.dtype.name}")):
        if bad := array.size - int(np.isfinite(array.astype(np.float64)).sum()):
            raise ModelError(f"new values of {name!r} that are not {what}: {bad} of {array.size}")
    change = Change(name, dtype, before.shape, _norm(before), _norm(after, before), _norm(after, values))
    _set_bytes(tensor, ir.Tensor(after, dtype=stored.dtype).tobytes())
    return change


def write_data(external: Iterable[onnx.TensorProto], folder: Path, path: Path) -> None:
    """Write the values of the `external` tensors to the file `path`, and make the tensors refer to it.

    Args:
        external: tensors with their data in files, and those that had before they were replaced.
        folder: where the old data is relative to.
        path: the data file; the model has to lie in the same folder.
    """
    with path.open("wb") as file:
        for tensor in external:
            values = ir.serde.deserialize_tensor(tensor, str(folder)).tobytes()
            file.write(bytes(-file.tell() % _ALIGNMENT))
            place = {"location": path.name, "offset": str(file.tell()), "length": str(len(values))}
            file.write(values)
            _clear(tensor)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in place.items():
                tensor.external_data.add(key=key, value=value)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of the model, those in attributes of any node included."""
    yield from _tensors(model.graph.initializer, model.graph.node)
    for function in model.functions:
        yield from _tensors((), function.node)


def _tensors(initializers: Iterable[onnx.TensorProto], nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    yield from initializers
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors)
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _tensors(graph.initializer, graph.node)


def _arrays(
    initializers: Iterable[onnx.TensorProto], nodes: Iterable[onnx.NodeProto], path: str
) -> Iterator[tuple[str, onnx.TensorProto]]:
    for tensor in initializers:
        yield f"{path}{tensor.name}", tensor
    for node in nodes:
        owner = next((output for output in node.output if output), "")
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                continue
            if attribute.type == onnx.AttributeProto.TENSOR and node.op_type == "Constant" and not node.domain:
                yield f"{path}{owner}", attribute.t
            graphs = {attribute.name: attribute.g} if attribute.type == onnx.AttributeProto.GRAPH else {}
            graphs |= {f"{attribute.name}{k}": graph for k, graph in enumerate(attribute.graphs)}
            for name, graph in graphs.items():
                yield from _arrays(graph.initializer, graph.node, f"{path}{owner}/{name}/")


def _set_bytes(tensor: onnx.TensorProto, values: bytes) -> None:
    _clear(tensor)
    if tensor.HasField("data_location"):
        tensor.data_location = onnx.TensorProto.DEFAULT
    tensor.raw_data = values


def _clear(tensor: onnx.TensorProto) -> None:
    for field in PAYLOAD_FIELDS:
        tensor.ClearField(field)


def _same_kind(new: np.dtype[Any], stored: ir.DataType) -> bool:
    """Whether both are floating, of any precision, or both are the same type."""
    given = ir.DataType.from_numpy(new)
    return given == stored or (given.is_floating_point() and stored.is_floating_point())


def _norm(values: NDArray[Any], other: NDArray[Any] | None = None) -> float:
    difference = values.astype(np.float64) - (0 if other is None else other.astype(np.float64))
    return float(np.linalg.norm(difference.reshape(-1)))
