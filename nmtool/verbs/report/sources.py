"""What is in a folder: each file is recognized by what it holds, whatever its name; what is not says why."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx_ir as ir

from nmtool import provenance
from nmtool.errors import NmtoolError, UsageError
from nmtool.model import digest, load
from nmtool.provenance import Provenance
from nmtool.table import build
from nmtool.verbs.report.documents import SCHEMAS, Swept
from nmtool.verbs.sweep.store import SCHEMA, Record

_ANALYSIS_POINT = "nmtool.analysis-point/1"
_SWEEP_TABLE = ["model", "eta", "trials", "mean", "std", "low", "high"]
_REASONS = {
    ".csv": "a table that is no log of a training",
    ".data": "the arrays of a model, shown with it",
    ".npy": "arrays",
    ".npz": "arrays",
    ".pdf": "a picture; the report draws its own",
    ".png": "a picture; the report draws its own",
    ".safetensors": "the checkpoint or the cache of a training; its log is shown",
    ".svg": "a picture; the report draws its own",
    ".toml": "settings, not results",
    ".xml": "a result for CI; the report shows what `check --json` writes",
}


@dataclass(frozen=True)
class ModelFile:
    """An ONNX model.

    Attributes:
        file: its path in the folder.
        path: where it is.
        sha256: digest of the file.
        model: the model.
        provenance: how it was made noisy, or None.
        weights: what it says about how its weights came about, or None.
    """

    file: str
    path: Path
    sha256: str
    model: ir.Model
    provenance: Provenance | None
    weights: Mapping[str, Any] | None


@dataclass(frozen=True)
class Document:
    """A JSON document that a command has written.

    Attributes:
        file: its path in the folder.
        schema: its form.
        command_line: what wrote it; "" where it was not recorded.
        content: what it says: an instance of one of `documents.SCHEMAS`; None where no section shows such documents.
    """

    file: str
    schema: str
    command_line: str
    content: Any


@dataclass(frozen=True)
class Results:
    """The points in a results file of a sweep."""

    file: str
    points: tuple[Record, ...]


@dataclass(frozen=True)
class Log:
    """The log of a training: steps and numbers by column, where a step has one."""

    file: str
    columns: Mapping[str, tuple[tuple[float, float], ...]]


@dataclass(frozen=True)
class Unread:
    """A file, or several of a kind in one folder, that no section shows, and why."""

    file: str
    reason: str


@dataclass
class Sources:
    """All that was found, in the order of the names.

    Attributes:
        name: of the folder.
    """

    name: str
    models: list[ModelFile] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    results: list[Results] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def contents(self, kind: type) -> Iterator[tuple[Document, Any]]:
        """The documents of a kind, and what they say; equal ones once."""
        seen: list[Any] = []
        for document in self.documents:
            if isinstance(document.content, kind) and document.content not in seen:
                seen.append(document.content)
                yield document, document.content


def find(folder: Path, output: Path) -> Sources:
    """Read all files below the folder, hidden ones and the page that is to be written left out.

    Raises:
        UsageError: it is no folder.
    """
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder}")
    sources = Sources(folder.resolve().name)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts) and not _same(path, output):
            try:
                _read(path, name.as_posix(), sources)
            except NmtoolError as error:
                sources.unread.append(Unread(name.as_posix(), error.message))
            except OSError as error:
                sources.unread.append(Unread(name.as_posix(), f"cannot be read: {error.strerror}"))
    return sources


def _same(path: Path, other: Path) -> bool:
    return path.resolve() == other.resolve()


def _read(path: Path, file: str, sources: Sources) -> None:
    match path.suffix.lower():
        case ".onnx":
            sources.models.append(_model(path, file))
        case ".json":
            document = _document(path, file)
            sources.documents.append(document)
            if document.content is None:
                reason = f"no section shows what {document.schema} says; its command is listed"
                sources.unread.append(Unread(file, reason))
        case ".jsonl":
            sources.results.append(Results(file, _points(path)))
        case ".csv" if {"step", "loss"} <= set(_header(path)):
            sources.logs.append(Log(file, _columns(path)))
        case ".csv" if _header(path) == _SWEEP_TABLE:
            sources.unread.append(Unread(file, "the table of a sweep; it is shown from --results or --record"))
        case suffix:
            reason = _REASONS.get(suffix, "not a file that nmtool's commands write")
            sources.unread.append(Unread(file, reason))


def _model(path: Path, file: str) -> ModelFile:
    model = load(path)
    return ModelFile(file, path, digest(path), model, provenance.read(model), provenance.read_weights(model))


def _document(path: Path, file: str) -> Document:
    fields = _object(_text(path), "it")
    schema = fields.get("schema")
    if not isinstance(schema, str) or not schema.startswith("nmtool."):
        raise UsageError("JSON that is no document of nmtool: it has no schema of that name")
    line = fields.get("command_line", "")
    kind = SCHEMAS.get(schema)
    if kind is Swept:
        fields |= {"points": [_with_nan(point) for point in fields.get("points", [])]}
    content = None if kind is None else build(kind, fields, "it", strict=False)
    return Document(file, schema, line if isinstance(line, str) else "", content)


def _points(path: Path) -> tuple[Record, ...]:
    """The complete lines of a results file: the last one may be in the making."""
    points = []
    for number, line in enumerate(_text(path).splitlines(keepends=True), start=1):
        if not line.endswith("\n"):
            break
        fields = _object(line, f"line {number}")
        if fields.get("schema") == _ANALYSIS_POINT:
            raise UsageError("the measurements of an analysis, which is shown from analysis.json")
        if fields.get("schema") != SCHEMA:
            raise UsageError(f"line {number} is not a result of a sweep")
        points.append(build(Record, _with_nan(fields), f"line {number}", strict=False))
    if not points:
        raise UsageError("it has no results yet")
    return tuple(points)


def _with_nan(point: Any) -> Any:
    """A point whose value was not finite has it as null."""
    return {**point, "value": math.nan} if isinstance(point, Mapping) and point.get("value", 0) is None else point


def _header(path: Path) -> list[str]:
    return _text(path).partition("\n")[0].rstrip("\r").split(",")


def _columns(path: Path) -> dict[str, tuple[tuple[float, float], ...]]:
    columns: dict[str, list[tuple[float, float]]] = {}
    lines = [line for line in _text(path).splitlines(keepends=True) if line.endswith("\n")]
    for number, row in enumerate(csv.DictReader(lines), start=2):
        try:
            numbers = {name: float(cell) for name, cell in row.items() if cell}
            step = numbers.pop("step")
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"line {number} is not that of a training's log") from error
        for name, value in numbers.items():
            columns.setdefault(name, []).append((step, value))
    if not columns:
        raise UsageError("the log of a training that has not begun")
    return {name: tuple(column) for name, column in columns.items()}


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{where} is not a JSON object")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError("not a text in UTF-8") from error
