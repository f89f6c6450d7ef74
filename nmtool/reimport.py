"""New weights into the ONNX file that the old ones are in: only the values of named arrays change."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import onnx
from numpy.typing import NDArray

from nmtool.errors import ModelError, UsageError
from nmtool.model import load, parse
from nmtool.payloads import Change, replace, stored_arrays, tensors, write_data
from nmtool.soundness import all_graphs, subgraphs

Source: TypeAlias = str | os.PathLike[str] | onnx.ModelProto
"""A model whose every byte is at hand: onnx_ir's view of one would not keep them."""


@dataclass(frozen=True)
class ReimportReport:
    """What was written.

    Attributes:
        changes: one entry per array that was given, in the model's order.
        files: the files that were written, the model last.
    """

    changes: tuple[Change, ...]
    files: tuple[Path, ...]

    @property
    def changed(self) -> int:
        """How many arrays have other values than before."""
        return sum(change.change > 0 for change in self.changes)

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON-serialisable dict."""
        return {"changes": [asdict(change) for change in self.changes], "files": [str(file) for file in self.files]}


def reimport(
    source: Source,
    weights: Mapping[str, NDArray[Any]],
    output: str | os.PathLike[str],
    *,
    trained: Collection[str] | None = None,
    metadata: Mapping[str, str] = {},
    nodes: Mapping[str, Mapping[str, str]] = {},
    verify: Callable[[Path], None] | None = None,
    force: bool = False,
) -> ReimportReport:
    """Write the source model with new weights; the rest of it stays the same to the byte.

    Arrays keep their types: those of a float16 model are rounded, and the report says what that lost. External data
    stays external, in a data file `<output>.data` of the model's own. Either all files are written or none is.

    Args:
        source: the model whose weights have new values.
        weights: new values by full name: an initializer's name, the output's name of a Constant node, with the path of
            a subgraph or function before it (docs/noise-spec.md, "stream").
        output: where to write the model.
        trained: names of all arrays that were trained; `weights` must hold exactly these. All of `weights` by default.
        metadata: entries of the model's metadata to set, in the place of those of the same keys.
        nodes: likewise of the metadata of nodes, by their names (the first output's where a node has none).
        verify: called with the path of the finished model before it is put in place; what it raises leaves no file.
        force: overwrite files that exist.

    Raises:
        ModelError: a name that the model does not have or that is missing, or values that do not fit in their array.
        UsageError: a file exists and `force` is not given, or the folder cannot be written to.
    """
    output = Path(output)
    if not output.parent.is_dir():
        raise UsageError(f"the folder of the output does not exist: {output.parent}", hint="create it first")
    load(source)  # raises what makes a model unusable
    model, folder = read(source)
    external = [tensor for tensor in tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL]
    data = [output.with_name(f"{output.name}.data")] if external else []
    for target in (*data, output):
        if target.exists() and not force:
            raise UsageError(f"the output exists: {target}", hint="write elsewhere, or overwrite it with --force")
    changes = _replace(model, weights, folder, weights.keys() if trained is None else trained)
    _set_metadata(model, metadata)
    for node in _nodes(model):
        _set_metadata(node, nodes.get(node.name or next(filter(None, node.output), ""), {}))
    try:
        with TemporaryDirectory(dir=output.parent, prefix=".nmtool-") as name:
            staged = Path(name)
            for target in data:
                write_data(external, folder, staged / target.name)
            (staged / output.name).write_bytes(model.SerializeToString())
            if verify is not None:
                verify(staged / output.name)
            for target in (*data, output):
                (staged / target.name).replace(target)
    except OSError as error:
        raise UsageError(f"the output cannot be written: {output}: {error.strerror or error}") from error
    return ReimportReport(changes, (*data, output))


def read(source: Source) -> tuple[onnx.ModelProto, Path]:
    """A copy of the message, without its external data, and the folder that these are relative to."""
    if isinstance(source, onnx.ModelProto):
        model = onnx.ModelProto()
        model.CopyFrom(source)
        return model, Path()
    return parse(Path(source)), Path(source).parent


def _replace(
    model: onnx.ModelProto, weights: Mapping[str, NDArray[Any]], folder: Path, trained: Collection[str]
) -> tuple[Change, ...]:
    """Replace the values; every trained array is written, and every array that is written was trained."""
    arrays = dict(stored_arrays(model))
    accounts = {
        "the model stores no such array": weights.keys() - arrays.keys(),
        "trained, but without new values": set(trained) - weights.keys(),
        "new values for an array that was not trained": weights.keys() - set(trained),
    }
    for problem, names in accounts.items():
        if names:
            raise ModelError(f"{problem}: {', '.join(map(repr, sorted(names)))}")
    return tuple(replace(name, tensor, weights[name], folder) for name, tensor in arrays.items() if name in weights)


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """All nodes, of subgraphs and functions too."""
    yield from (node for graph in all_graphs([model.graph]) for node in graph.node)
    for function in model.functions:
        yield from function.node
        yield from (node for graph in subgraphs(function.node) for node in graph.node)


def _set_metadata(part: onnx.ModelProto | onnx.NodeProto, metadata: Mapping[str, str]) -> None:
    for entry in [entry for entry in part.metadata_props if entry.key in metadata]:
        part.metadata_props.remove(entry)
    for key, value in metadata.items():
        part.metadata_props.add(key=key, value=value)
