"""Reading and writing models: the only place that touches model files."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]

from nmtool.errors import ModelError, UsageError

ModelSource: TypeAlias = "str | os.PathLike[str] | onnx.ModelProto | ir.Model"

_INLINE_LIMIT = 1 << 30  # protobuf refuses 2 GiB; past half of it, payloads go to a data file
_OTHER_TYPE = "nmtool.type:"  # begins the denotation of a stand-in for a type unknown to onnx_ir; then its bytes in hex


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
        for graph in (model.graph, *(function.graph for function in model.functions.values())):
            ir.external_data.set_base_dir(graph, path.parent)
    for tensor in _external_tensors(model):
        _require_data(tensor)
    return model


def to_proto(model: ir.Model) -> onnx.ModelProto:
    """Serialize a model; external data stays in its file. Unlike `ir.to_proto`, it restores map types."""
    proto = ir.to_proto(model)
    for leaf in _leaf_types(proto):
        if leaf.denotation.startswith(_OTHER_TYPE):
            leaf.ParseFromString(bytes.fromhex(leaf.denotation.removeprefix(_OTHER_TYPE)))
    return proto


def digest(source: ModelSource) -> str:
    """SHA-256 of the model's file (without external data), or of its arrays and its serialized graph when in memory."""
    if not isinstance(source, ir.Model | onnx.ModelProto):
        with Path(source).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    model, sha = load(source), hashlib.sha256()
    for value in model.graph.initializers.values():  # apart from the rest, which protobuf limits to 2 GiB
        tensor = value.const_value
        if tensor is not None and not isinstance(tensor, ir.ExternalTensor) and tensor.dtype != ir.DataType.STRING:
            sha.update(tensor.tobytes())
            shape, name = ir.Shape(tensor.shape.numpy()), value.name or ""
            value.const_value = ir.ExternalTensor("", 0, tensor.nbytes, tensor.dtype, shape=shape, name=name)
    sha.update(to_proto(model).SerializeToString(deterministic=True))
    return sha.hexdigest()


def save(model: ir.Model, path: str | os.PathLike[str], *, force: bool = False, own_data: bool = False) -> list[Path]:
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
        UsageError: a file exists and `force` is not given, or the folder does not exist or cannot be written to.
        ModelError: the model cannot be stored as ONNX.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise UsageError(f"the folder of the output does not exist: {path.parent}", hint="create it first")
    external = _external_tensors(model)
    data_name = f"{path.name}.data"
    in_memory = sum(tensor.nbytes for tensor in _initializer_tensors(model) if tensor not in external)
    write_data = (own_data and bool(external)) or in_memory > _INLINE_LIMIT
    copies = {} if write_data else _data_to_copy(external, path.parent)
    written = [path.parent / data_name] if write_data else [*copies]
    for target in (*written, path):
        if target.exists() and not force:
            raise UsageError(f"the output exists: {target}", hint="write elsewhere, or overwrite it with --force")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".nmtool-") as folder:
            staged = Path(folder)
            _write(model, staged / path.name, data_name if write_data else None)
            for target, source in copies.items():
                (staged / target.relative_to(path.parent)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, staged / target.relative_to(path.parent))
            for target in (*written, path):
                target.parent.mkdir(parents=True, exist_ok=True)
                (staged / target.relative_to(path.parent)).replace(target)
    except OSError as error:
        raise UsageError(f"the output cannot be written: {path}: {error.strerror or error}") from error
    return [*written, path]


def _write(model: ir.Model, path: Path, data_name: str | None) -> None:
    """Write the model to `path`; with a `data_name`, its initializers to that file beside it."""
    if data_name is not None:
        model = model.clone()
        ir.external_data.unload_from_model(model, path.parent, data_name)
    try:
        path.write_bytes(to_proto(model).SerializeToString())
    except (ValueError, EncodeError) as error:
        raise ModelError(f"the model cannot be stored as ONNX: {error}") from error


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
    _require_known_fields(proto, name)
    if any(_is_other(leaf) for leaf in _leaf_types(proto)):
        original, proto = proto, onnx.ModelProto()
        proto.CopyFrom(original)  # the caller's stays as it is
        for leaf in filter(_is_other, _leaf_types(proto)):
            denotation = _OTHER_TYPE + leaf.SerializeToString().hex()
            leaf.Clear()
            leaf.tensor_type.elem_type = onnx.TensorProto.UNDEFINED
            leaf.denotation = denotation
    try:
        model = ir.from_proto(proto)
    except Exception as error:  # the deserializer raises whatever a malformed field makes its code raise
        reason: BaseException = error
        while reason.__cause__ is not None:
            reason = reason.__cause__
        raise ModelError(f"the graph of {name} is malformed: {reason}", hint="run onnx.checker on it") from error
    _require_order(model, name)
    return model


def _graphs(graphs: Iterable[onnx.GraphProto]) -> Iterator[onnx.GraphProto]:
    """The graphs and, recursively, the subgraphs of their nodes."""
    for graph in graphs:
        yield graph
        yield from _subgraphs(graph.node)


def _subgraphs(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from _graphs([*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs])


def _leaf_types(proto: onnx.ModelProto) -> Iterator[onnx.TypeProto]:
    """The type of every value of the model, inside sequences and optionals."""
    infos = [info for function in proto.functions for info in function.value_info]
    graphs = [*_graphs([proto.graph]), *(g for function in proto.functions for g in _subgraphs(function.node))]
    for info in (*infos, *(info for g in graphs for info in (*g.input, *g.output, *g.value_info))):
        leaf = info.type
        while (kind := leaf.WhichOneof("value")) in ("sequence_type", "optional_type"):
            leaf = getattr(leaf, kind).elem_type
        yield leaf


def _is_other(leaf: onnx.TypeProto) -> bool:
    """Whether onnx_ir does not know the type: a map, or an opaque one."""
    return leaf.WhichOneof("value") not in (None, "tensor_type", "sparse_tensor_type")


def _require_known_fields(proto: onnx.ModelProto, name: str) -> None:
    """Nothing that onnx_ir would drop or merge in silence."""
    if proto.training_info:
        raise ModelError(f"{name} has training_info, which would be lost", hint="export the inference graph alone")
    for graph in _graphs([proto.graph]):
        if graph.sparse_initializer:
            array = graph.sparse_initializer[0].values.name
            raise ModelError(f"{name} has a sparse initializer, {array!r}", hint="store it as a dense tensor")
        for node in graph.node:
            if any(attribute.t.data_location == onnx.TensorProto.EXTERNAL for attribute in node.attribute):
                raise ModelError(
                    f"node {node.name or node.op_type!r} of {name} has external data, which only initializers may",
                    hint="load and save the model with onnx to bring the data in",
                )
        for kind, values in (("input", graph.input), ("initializer", graph.initializer)):
            names = [value.name for value in values]
            if len(set(names)) < len(names) or "" in names:
                twice = next(n for n in names if not n or names.count(n) > 1)
                raise ModelError(f"the graph of {name} is malformed: {kind} {twice!r} is there twice or has no name")
    identifiers = [(function.domain, function.name, function.overload) for function in proto.functions]
    for domain, function, overload in identifiers:
        if identifiers.count((domain, function, overload)) > 1:
            raise ModelError(f"the graph of {name} is malformed: function '{domain}::{function}' is defined twice")


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
        known = {value.name for value in defined}  # by name: onnx_ir does not link outputs to outer values
        for value in graph.outputs:
            if value.name not in known:
                raise ModelError(f"output {value.name!r} of {name} is not computed by any node")

    check(model.graph, set())
    for function in model.functions.values():
        check(function.graph, set())


def _initializer_tensors(model: ir.Model) -> list[ir.TensorProtocol]:
    values = [value for graph in model.graphs() for value in graph.initializers.values()]
    return [value.const_value for value in values if value.const_value is not None]


def _external_tensors(model: ir.Model) -> list[ir.ExternalTensor]:
    return [tensor for tensor in _initializer_tensors(model) if isinstance(tensor, ir.ExternalTensor)]


def _require_data(tensor: ir.ExternalTensor) -> None:
    """The file is there, is long enough, and lies in the model's folder (as onnx and onnxruntime demand)."""
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
    if not file.resolve().is_relative_to(Path(tensor.base_dir).resolve()) or file.stat().st_nlink > 1:
        raise ModelError(
            f"external data of {tensor.name!r} is a link out of the model's folder: {file}",
            hint="put a copy of the data file there; onnx refuses links",
        )
    if tensor.length is not None and tensor.length != tensor.nbytes:
        raise ModelError(
            f"external data of {tensor.name!r} has {tensor.length} bytes where its shape needs {tensor.nbytes}"
        )
    needed = (tensor.offset or 0) + tensor.nbytes
    if file.stat().st_size < needed:
        raise ModelError(
            f"external data of {tensor.name!r} is truncated: {file} has {file.stat().st_size} of {needed} bytes",
            hint="copy the data file again",
        )


def _data_to_copy(tensors: list[ir.ExternalTensor], folder: Path) -> dict[Path, Path]:
    """Target -> source of the data files that are not in `folder` already."""
    files = {folder / tensor.location: Path(tensor.path) for tensor in tensors}
    return {target: source for target, source in files.items() if not (target.exists() and target.samefile(source))}
