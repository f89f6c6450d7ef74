"""Measurements on disk: each is made once, whatever interrupts the analysis."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nmtool.jsonl import JsonLines

_SCHEMA = "nmtool.analysis-point/1"


class Journal:
    """What was measured, in memory and, with a path, in a file; use it as a context.

    A line holds what determines the value (`setting`), what was measured (`point`) and the `value`. Points of other
    settings stay in the file and are not looked at.
    """

    def __init__(self, path: Path | None) -> None:
        """Open, and read what is there.

        Raises:
            UsageError: the file is no such file, or cannot be written.
        """
        self._values: dict[str, Any] = {}
        self._file = JsonLines(path, self._add, "a measurement of an analysis")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.__exit__(kind, error, at)

    def has(self, setting: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
        """Whether the point was measured."""
        return _key(setting, point) in self._values

    def measured(self, setting: Mapping[str, Any], point: Mapping[str, Any], measure: Callable[[], Any]) -> Any:
        """The value of a point: as it is in the file, or else measured now, and then in the file.

        Args:
            setting: everything that determines the value besides the point.
            point: what is measured, JSON-serialisable.
            measure: measures it; the value is JSON-serialisable. A number that is not finite is kept as null.
        """
        key = _key(setting, point)
        if key not in self._values:
            value = measure()
            kept = None if isinstance(value, float) and not math.isfinite(value) else value
            self._file.append({"schema": _SCHEMA, "setting": setting, "point": point, "value": kept})
            self._values[key] = kept
        value = self._values[key]
        return math.nan if value is None else value

    def _add(self, line: Mapping[str, Any]) -> None:
        if line["schema"] != _SCHEMA:
            raise ValueError(_SCHEMA)
        self._values[_key(line["setting"], line["point"])] = line["value"]


def _key(setting: Mapping[str, Any], point: Mapping[str, Any]) -> str:
    return json.dumps([setting, point], sort_keys=True)
