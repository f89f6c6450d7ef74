"""What a model must be before nmtool works on it: cheap checks, so that nothing is lost or fails in silence."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import Message

from nmtool.errors import ModelError

_WIDTHS = {
    dtype.value: dtype.bitwidth for dtype in ir.DataType if dtype not in (ir.DataType.UNDEFINED, ir.DataType.STRING)
}


def require_sound(proto: onnx.ModelProto, name: str) -> None:
    """The file is well-formed, and holds nothing that onnx_ir would drop or merge in silence.

    Raises:
        ModelError: it is not so; the message names the part.
    """
    _require_text(proto, name)
    _require_known_fields(proto, name)


def require_order(model: ir.Model, name: str) -> None:
    """Every value is defined before it is used: no cycle, no dangling name.

    Raises:
        ModelError: a node or an output reads another value; the message names both.
    """

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


def require_data(tensor: ir.ExternalTensor) -> None:
    """The file is there, is long enough, and lies in the model's folder (as onnx and onnxruntime demand).

    Raises:
        ModelError: it is not so; the message names the tensor and the file.
    """
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


def all_graphs(graphs: Iterable[onnx.GraphProto]) -> Iterator[onnx.GraphProto]:
    """The graphs and, recursively, the subgraphs of their nodes."""
    for graph in graphs:
        yield graph
        yield from subgraphs(graph.node)


def subgraphs(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    """The graphs that the nodes hold, recursively."""
    for node in nodes:
        for attribute in node.attribute:
            yield from all_graphs([*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs])


def _require_known_fields(proto: onnx.ModelProto, name: str) -> None:
    """Nothing that onnx_ir would drop or merge in silence."""
    if proto.training_info:
        raise ModelError(f"{name} has training_info, which would be lost", hint="export the inference graph alone")
    for graph in all_graphs([proto.graph]):
        if graph.sparse_initializer:
            array = graph.sparse_initializer[0].values.name
            raise ModelError(f"{name} has a sparse initializer, {array!r}", hint="store it as a dense tensor")
        for tensor in graph.initializer:
            _require_payload(tensor, f"initializer {tensor.name!r} of {name}")
        for node in graph.node:
            if untyped := [attribute.name for attribute in node.attribute if not attribute.type]:
                where = f"node {node.name or node.op_type!r} of {name}"
                raise ModelError(f"an attribute has no type in {where}: {untyped[0]}", hint="run onnx.checker on it")
            for tensor in (t for attribute in node.attribute for t in (attribute.t, *attribute.tensors)):
                where = f"a tensor of node {node.name or node.op_type!r} of {name}"
                _require_payload(tensor, where)
                if tensor.data_location == onnx.TensorProto.EXTERNAL:
                    hint = "load and save the model with onnx to bring the data in"
                    raise ModelError(f"{where} is external, which only initializers may be", hint)
        for kind, values in (("input", graph.input), ("initializer", graph.initializer)):
            names = [value.name for value in values]
            if len(set(names)) < len(names) or "" in names:
                twice = next(n for n in names if not n or names.count(n) > 1)
                raise ModelError(f"the graph of {name} is malformed: {kind} {twice!r} is there twice or has no name")
    identifiers = [(function.domain, function.name, function.overload) for function in proto.functions]
    for domain, function, overload in identifiers:
        if identifiers.count((domain, function, overload)) > 1:
            raise ModelError(f"the graph of {name} is malformed: function '{domain}::{function}' is defined twice")


def _require_text(message: Message, name: str) -> None:
    """Every string of the message is UTF-8: protobuf does not look, and gives bytes where it is not."""
    if isinstance(message, onnx.TensorProto):  # without its payload, which ListFields would copy
        fields = [(message.DESCRIPTOR.fields_by_name["name"], message.name)]
    else:
        fields = message.ListFields()
    for field, content in fields:
        if field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
            continue
        for part in [content] if isinstance(content, str | bytes | Message) else content:
            if isinstance(part, Message):
                _require_text(part, name)
            elif isinstance(part, bytes):
                raise ModelError(f"{name} is malformed: {field.name} {part!r} is not UTF-8")


def _require_payload(tensor: onnx.TensorProto, where: str) -> None:
    """A tensor in the file is as long as its shape says, and of a known type."""
    if any(dimension < 0 for dimension in tensor.dims):
        raise ModelError(f"{where} has a negative dimension: {list(tensor.dims)}")
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.data_type == onnx.TensorProto.UNDEFINED:
        return
    if tensor.HasField("raw_data") and tensor.data_type in _WIDTHS:
        needed = -(-math.prod(tensor.dims) * _WIDTHS[tensor.data_type] // 8)
        if len(tensor.raw_data) != needed:
            raise ModelError(f"{where} has {len(tensor.raw_data)} bytes where its shape needs {needed}")
        return
    try:
        onnx.checker.check_tensor(tensor)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"{where} is malformed: {str(error).strip().splitlines()[0]}") from error
