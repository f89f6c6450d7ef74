"""Reading and writing models: the only place that touches model files."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TypeAlias

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError

from nmtool.errors import ModelError, UsageError

ModelSource: TypeAlias = "str | os.PathLike[str] | onnx.ModelProto | ir.Model"

_INLINE_LIMIT = 1 << 30  # protobuf refuses 2 GiB; past half of it, payloads go to a data file


def load(source: ModelSource) -> ir.Model:
    """Read a model from a file, a ModelProto or an ir.Model; external data stays in its file.

    An ir.Model is copied (tensors are shared), so that passes never change the caller's.

    Raises:
        ModelError: no such file, not an ONNX model, an invalid graph, or missing external data.
    """
    if isinstance(source, ir.Model):
        return source.clone()
    if isinstance(source, onnx.ModelProto):
        model = _deserialize(source, "the model")
    else:
        path = Path(source)
        model = _deserialize(_parse(path), str(path))
        ir.external_data.set_base_dir(model.graph, path.parent)
        for function in model.functions.values():
            ir.external_data.set_base_dir(function.graph, path.parent)
    _require_external_data(model)
    return model


def digest(source: ModelSource) -> str:
    """SHA-256 of the model's file (without external data), or of its serialized form when it is in memory."""
    if isinstance(source, ir.Model):
        source = ir.to_proto(source)
    if isinstance(source, onnx.ModelProto):
        return hashlib.sha256(source.SerializeToString(deterministic=True)).hexdigest()
    with Path(source).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(
    model: ir.Model, path: str | os.PathLike[str], *, force: bool = False, own_data: bool = False
) -> list[Path]:
    """Write a model atomically: either everything is written or nothing is.

    External data stays external. When the model goes to the folder it came from, it goes on using the same data files;
    otherwise these are copied beside it. A model past 1 GiB gets a data file, `<name>.data`.

    Args:
        model: the model.
        path: where to write it.
        force: overwrite files that exist.
        own_data: write external arrays into a data file of the model's own instead: for models whose weights changed.

    Returns:
        The files that were written, the model last.

    Raises:
        UsageError: a file exists and `force` is not given, or the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise UsageError(f"the folder of the output does not exist: {path.parent}", hint="create it first")
    external = _external_tensors(model)
    data_name = f"{path.name}.data"
    in_memory = sum(tensor.nbytes for tensor in _initializer_tensors(model) if tensor not in external)
    write_data = own_data and bool(external) or in_memory > _INLINE_LIMIT
    copies = {} if write_data else _data_to_copy(external, path.parent)
    written = [path.parent / data_name] if write_data else [*copies]
    for target in (*written, path):
        if target.exists() and not force:
            raise UsageError(f"the output exists: {target}", hint="write elsewhere, or overwrite it with --force")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".nmtool-") as folder:
        staged = Path(folder)
        ir.save(model, staged / path.name, format="protobuf", external_data=data_name if write_data else None)
        for target, source in copies.items():
            (staged / target.relative_to(path.parent)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, staged / target.relative_to(path.parent))
        for target in (*written, path):
            target.parent.mkdir(parents=True, exist_ok=True)
            (staged / target.relative_to(path.parent)).replace(target)
    return [*written, path]


def _parse(path: Path) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"no such model file: {path}") from error
    except OSError as error:
        raise ModelError(f"the model file cannot be read: {path}: {error.strerror}") from error
    except DecodeError as error:
        raise ModelError(f"not an ONNX model, or a truncated one: {path}") from error
    if not proto.ir_version or not proto.HasField("graph"):
        raise ModelError(f"not an ONNX model: {path}", hint="an ONNX file holds a serialized ModelProto")
    return proto


def _deserialize(proto: onnx.ModelProto, name: str) -> ir.Model:
    try:
        model = ir.from_proto(proto)
    except Exception as error:  # the deserializer raises whatever a malformed field makes its code raise
        reason = error.__cause__ or error
        raise ModelError(f"the graph of {name} is malformed: {reason}", hint="run onnx.checker on it") from error
    _require_order(model, name)
    return model


def _require_order(model: ir.Model, name: str) -> None:
    """Every value is defined before it is used: no cycle, no dangling name."""

    def check(graph: ir.Graph, outer: set[ir.Value]) -> None:
        defined = {*outer, *graph.inputs, *graph.initializers.values()}
        for node in graph:
            for value in node.inputs:
                if value is not None and value not in defined:
                    raise ModelError(
                        f"node {node.name or node.op_type!r} of {name} reads {value.name!r}, "
                        "which is not an input, an initializer or the output of an earlier node",
                        hint="the graph has a cycle or a missing value; run onnx.checker on it",
                    )
            for attribute in node.attributes.values():
                if not attribute.is_ref() and attribute.type == ir.AttributeType.GRAPH:
                    check(attribute.as_graph(), defined)
                elif not attribute.is_ref() and attribute.type == ir.AttributeType.GRAPHS:
                    for subgraph in attribute.as_graphs():
                        check(subgraph, defined)
            defined.update(node.outputs)

    check(model.graph, set())
    for function in model.functions.values():
        check(function.graph, set())


def _initializer_tensors(model: ir.Model) -> list[ir.TensorProtocol]:
    values = [value for graph in model.graphs() for value in graph.initializers.values()]
    return [value.const_value for value in values if value.const_value is not None]


def _external_tensors(model: ir.Model) -> list[ir.ExternalTensor]:
    return [tensor for tensor in _initializer_tensors(model) if isinstance(tensor, ir.ExternalTensor)]


def _require_external_data(model: ir.Model) -> None:
    for tensor in _external_tensors(model):
        location, file = Path(tensor.location), Path(tensor.path)
        if location.is_absolute() or ".." in location.parts:
            raise ModelError(
                f"external data of {tensor.name!r} lies outside the model's folder: {location}",
                hint="save the model again with its data file beside it",
            )
        if not file.is_file():
            raise ModelError(
                f"external data of {tensor.name!r} is missing: {file}", hint="copy the data file beside the model"
            )
        needed = (tensor.offset or 0) + (tensor.length or 0)
        if file.stat().st_size < needed:
            raise ModelError(
                f"external data of {tensor.name!r} is truncated: {file} has {file.stat().st_size} of {needed} bytes",
                hint="copy the data file again",
            )


def _data_to_copy(tensors: list[ir.ExternalTensor], folder: Path) -> dict[Path, Path]:
    """Target -> source of the data files that are not in `folder` already."""
    files = {folder / tensor.location: Path(tensor.path) for tensor in tensors}
    return {
        target: source for target, source in files.items() if not (target.exists() and target.samefile(source))
    }
