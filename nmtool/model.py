"""Reading and writing models: the only place that touches model files."""

import hashlib
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError, EncodeError

from nmtool.errors import ModelError, UsageError
from nmtool.soundness import all_graphs, require_data, require_order, require_sound, subgraphs

ModelSource: TypeAlias = "str | os.PathLike[str] | onnx.ModelProto | ir.Model"

_INLINE_LIMIT = 1 << 30  # protobuf refuses 2 GiB; past half of it, payloads go to a data file
_SMALL = 1024  # bytes up to which an array stays in the model file: runtimes want shapes and axes there
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
        model = _deserialize(parse(path), str(path))
        for graph in (model.graph, *(function.graph for function in model.functions.values())):
            ir.external_data.set_base_dir(graph, path.parent)
    for tensor in external_tensors(model):
        require_data(tensor)
    return model


def metadata(source: ModelSource) -> Mapping[str, str]:
    """The metadata of a model, at the cost of reading its message alone.

    Raises:
        ModelError: no such file, or not an ONNX model.
    """
    if isinstance(source, ir.Model):
        return source.metadata_props
    proto = source if isinstance(source, onnx.ModelProto) else parse(Path(source))
    return {entry.key: entry.value for entry in proto.metadata_props}


def to_proto(model: ir.Model) -> onnx.ModelProto:
    """Serialize a model; external data stays in its file. Unlike `ir.to_proto`, it restores map types.

    Raises:
        ModelError: a name is not UTF-8, an attribute has no type, or the like.
    """
    try:
        proto = ir.to_proto(model)
    except ir.serde.SerdeError as error:
        raise ModelError(f"the model cannot be serialized: {_root_cause(error)}") from error
    for leaf in _leaf_types(proto):
        if leaf.denotation.startswith(_OTHER_TYPE):
            leaf.ParseFromString(bytes.fromhex(leaf.denotation.removeprefix(_OTHER_TYPE)))
    return proto


def digest(source: ModelSource) -> str:
    """SHA-256 of the model's file (without external data), or of its arrays and its serialized graph when in memory."""
    if not isinstance(source, ir.Model | onnx.ModelProto):
        with Path(source).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return hashlib.sha256(content).hexdigest()  # one call, which needs the interpreter's lock once
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
    external = external_tensors(model)
    data_name = f"{path.name}.data"
    tensors = initializer_tensors(model)
    in_memory = sum(tensor.nbytes for tensor in tensors if not isinstance(tensor, ir.ExternalTensor))
    write_data = (own_data and bool(external)) or in_memory > _INLINE_LIMIT
    copies = {} if write_data else _data_to_copy(external, path.parent)
    written = [*copies]
    if write_data and any(tensor.nbytes > _SMALL for tensor in tensors):
        written = [path.parent / data_name]
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
    """Write the model to `path`; with a `data_name`, its larger initializers, if any, to that file beside it."""
    if data_name is not None:
        model = model.clone()
        ir.external_data.unload_from_model(model, path.parent, data_name, size_threshold_bytes=_SMALL)
    try:
        path.write_bytes(to_proto(model).SerializeToString())
    except (ValueError, EncodeError) as error:
        raise ModelError(f"the model cannot be stored as ONNX: {error}") from error


def parse(path: Path) -> onnx.ModelProto:
    """Read the message of a file, without its external data.

    Raises:
        ModelError: no such file, or it is not an ONNX model.
    """
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
    require_sound(proto, name)
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
        reason = _root_cause(error)
        raise ModelError(f"the graph of {name} is malformed: {reason}", hint="run onnx.checker on it") from error
    require_order(model, name)
    return model


def _root_cause(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _leaf_types(proto: onnx.ModelProto) -> Iterator[onnx.TypeProto]:
    """The type of every value of the model, inside sequences and optionals."""
    infos = [info for function in proto.functions for info in function.value_info]
    graphs = [*all_graphs([proto.graph]), *(g for function in proto.functions for g in subgraphs(function.node))]
    for info in (*infos, *(info for g in graphs for info in (*g.input, *g.output, *g.value_info))):
        leaf = info.type
        while (kind := leaf.WhichOneof("value")) in ("sequence_type", "optional_type"):
            leaf = getattr(leaf, kind).elem_type
        yield leaf


def _is_other(leaf: onnx.TypeProto) -> bool:
    """Whether onnx_ir does not know the type: a map, or an opaque one."""
    return leaf.WhichOneof("value") not in (None, "tensor_type", "sparse_tensor_type")


def initializer_tensors(model: ir.Model) -> list[ir.TensorProtocol]:
    """The payloads of all initializers, those of subgraphs included."""
    values = [value for graph in model.graphs() for value in graph.initializers.values()]
    return [value.const_value for value in values if value.const_value is not None]


def external_tensors(model: ir.Model) -> list[ir.ExternalTensor]:
    """The initializers' payloads that lie in data files."""
    return [tensor for tensor in initializer_tensors(model) if isinstance(tensor, ir.ExternalTensor)]


def files(path: Path) -> list[Path]:
    """The files of a model: its own, and those of its external data."""
    return [path, *sorted({Path(tensor.path) for tensor in external_tensors(load(path))})]


def _data_to_copy(tensors: list[ir.ExternalTensor], folder: Path) -> dict[Path, Path]:
    """Target -> source of the data files that are not in `folder` already."""
    files = {folder / tensor.location: Path(tensor.path) for tensor in tensors}
    return {target: source for target, source in files.items() if not (target.exists() and target.samefile(source))}
