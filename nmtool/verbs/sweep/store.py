"""Results on disk: a line per evaluation."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nmtool.errors import UsageError
from nmtool.jsonl import JsonLines
from nmtool.verbs.sweep.plan import Point

SCHEMA = "nmtool.sweep/1"


@dataclass(frozen=True)
class Setting:
    """Everything that determines a model's values besides the point: equal settings, equal values.

    Attributes:
        model: label of the model.
        model_sha256: digest of the model as given, external data included.
        noise: the noise model and its parameters at scale 1.
        seed: of the noise.
        injection: options of `inject` other than the defaults; empty for a model that was given noisy.
        data_sha256: digest of samples, labels and preparation.
        samples: how many.
        metric: name of the metric.
        output: the model's output it judges.
        redraw: "set" (one draw per trial for the whole data set) or "batch".
        batch_size: samples per run; with `redraw` "batch" it decides which samples share a draw.
    """

    model: str
    model_sha256: str
    noise: Mapping[str, Any]
    seed: int
    injection: Mapping[str, Any]
    data_sha256: str
    samples: int
    metric: str
    output: str
    redraw: str
    batch_size: int


@dataclass(frozen=True)
class Record:
    """One evaluation.

    Attributes:
        setting: what was measured.
        point: where.
        scale: what the model's scale input was fed.
        value: of the metric.
        seconds: how long it took.
        nmtool: version.
        runtime: name and version of the runtime.
        library: whether nmtool's operator library computed the noise.
    """

    setting: Setting
    point: Point
    scale: float
    value: float
    seconds: float
    nmtool: str
    runtime: str
    library: bool


class Store:
    """The records of one sweep, in memory and, with a path, in a file; use it as a context.

    Attributes:
        records: what is there, by point.
    """

    def __init__(self, path: Path | None) -> None:
        """Open, and read what is there.

        Raises:
            UsageError: the file is not a file of sweep results, or cannot be written.
        """
        self.records: dict[Point, Record] = {}
        self._path = path
        self._file = JsonLines(path, self._add, "a sweep result")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.__exit__(kind, error, at)

    def check(self, setting: Setting) -> None:
        """Refuse to mix experiments.

        Raises:
            UsageError: the file has this model with another setting, or another data set or metric.
        """
        new = asdict(setting)
        for record in self.records.values():
            old = asdict(record.setting)
            shared = ("data_sha256", "samples", "metric", "redraw")
            names = new if old["model"] == setting.model else shared
            skipped = () if setting.redraw == "batch" else ("batch_size",)
            for name in names:
                if name not in skipped and old[name] != new[name]:
                    raise UsageError(
                        f"{self._path} has results of another experiment: {name} {old[name]!r}, now {new[name]!r}",
                        hint="give another results file, or delete this one",
                    )

    def append(self, record: Record) -> None:
        """Add a record; it is on the disk when this returns."""
        self.records[record.point] = record
        value = record.value if math.isfinite(record.value) else None
        self._file.append({"schema": SCHEMA} | asdict(record) | {"value": value})

    def _add(self, line: Mapping[str, Any]) -> None:
        fields = dict(line)
        if fields.pop("schema") != SCHEMA:
            raise ValueError(SCHEMA)
        fields["setting"] = Setting(**fields["setting"])
        fields["point"] = Point(**fields["point"])
        fields["value"] = math.nan if fields["value"] is None else fields["value"]
        record = Record(**fields)
        self.records[record.point] = record
