"""The model and its original as messages that can be compared: without noise, and read and written in the same way."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import onnx
import onnx_ir as ir

from nmtool.checks.finding import not_checked
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError
from nmtool.model import load, to_proto
from nmtool.passes.noise_rewriter import NODE_PREFIX, NOISY_SUFFIX
from nmtool.payloads import PAYLOAD_FIELDS, stored_arrays
from nmtool.reimport import read
from nmtool.verbs.lift import lift

NO_ORIGINAL = not_checked("there is no original to compare with", "--against original.onnx")


class Pair:
    """What is checked, and what it came from.

    Attributes:
        ours: the model without noise.
        original: the original; lifted, where the model was injected with --opset.
        notes: what was done to the original.
        folder: what external data of ours is relative to.
        original_folder: the same of the original.
    """

    def __init__(self, ours: ir.Model, original: ir.Model, folder: Path, original_folder: Path, lifted: bool) -> None:
        """Lift the original, if the model is."""
        self.folder, self.original_folder = folder, original_folder
        self.notes: list[str] = []
        opset = ours.opset_imports.get("", 0)
        if lifted and original.opset_imports.get("", 0) < opset:
            original, self.notes = lift(original, opset)
        self.ours, self.original = to_proto(ours), to_proto(original)

    @cached_property
    def arrays(self) -> list[tuple[str, onnx.TensorProto, onnx.TensorProto]]:
        """Name, tensor and original tensor of every array that both have; a baked sample stands for its array."""
        after, before = dict(stored_arrays(self.ours)), dict(stored_arrays(self.original))
        return [
            (name, after.get(f"{name}{NOISY_SUFFIX}", after[name]), tensor)
            for name, tensor in before.items()
            if name in after
        ]


@dataclass(frozen=True)
class Node:
    """A node for comparison.

    Attributes:
        label: its name, or that of its first output.
        proto: the node without payloads, and with the names of arrays instead of those of their baked samples.
    """

    label: str
    proto: onnx.NodeProto


def pair(subject: Subject) -> Pair | None:
    """The pair; None where there is no original to compare with.

    Raises:
        ModelError: one of the two cannot be read.
    """
    if subject.request.against is None:
        return None
    try:
        original = load(subject.request.against)
    except ModelError as failure:
        raise ModelError(f"the original: {failure.message}", failure.hint) from failure
    original_folder = read(subject.request.against)[1]
    return Pair(subject.clean, original, subject.folder, original_folder, lifted=subject.record is not None)


def nodes(model: onnx.ModelProto) -> Iterator[Node]:
    """Nodes of the graph and of functions, without what a baked model has beside them."""
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        if node.name.startswith(NODE_PREFIX):
            continue
        bare = onnx.NodeProto()
        bare.CopyFrom(node)
        _clear(bare)
        bare.input[:] = [name.removesuffix(NOISY_SUFFIX) for name in node.input]
        yield Node(node.name or next((name for name in node.output if name), node.op_type), bare)


def initializers(model: onnx.ModelProto) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Type and shape of the graph's initializers by name, without the samples of a baked model."""
    return {
        tensor.name: (tensor.data_type, tuple(tensor.dims))
        for tensor in model.graph.initializer
        if not tensor.name.endswith(NOISY_SUFFIX)
    }


def _clear(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        graphs = [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
        inner = [*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]
        for tensor in (*inner, *(tensor for graph in graphs for tensor in graph.initializer)):
            for field in (*PAYLOAD_FIELDS, "data_location"):
                tensor.ClearField(field)
        for graph in graphs:
            for each in graph.node:
                _clear(each)
