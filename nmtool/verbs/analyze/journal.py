"""Measurements on disk: each is made once, whatever interrupts the analysis."""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from nmtool.executors import Executor, Work
from nmtool.executors.executor import Task
from nmtool.jsonl import JsonLines

_SCHEMA = "nmtool.analysis-point/1"

Entry: TypeAlias = tuple[Mapping[str, Any], Mapping[str, Any]]
"""What a value belongs to: all that determines it besides the point, and the point; JSON-serialisable."""


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

    def measured(self, setting: Mapping[str, Any], point: Mapping[str, Any], measure: Callable[[], Any]) -> Any:
        """The value of a point: as it is in the file, or else measured now, and then in the file.

        Args:
            setting: everything that determines the value besides the point.
            point: what is measured.
            measure: measures it; the value is JSON-serialisable. A number that is not finite is kept as null.
        """
        if not self._has((setting, point)):
            self._keep((setting, point), measure())
        return self._value((setting, point))

    def gathered(
        self,
        workers: Executor,
        work: Work[Task, Any],
        entries: Mapping[Task, Entry],
        progress: Callable[[int, int], None],
    ) -> dict[Task, Any]:
        """The values of tasks: as they are in the file, or else measured by workers, and then in the file.

        Args:
            workers: do the tasks that are missing.
            work: what they do, with values as those of `measured`.
            entries: what the value of each task belongs to; no two tasks have the same.
            progress: called with the number of tasks that are done, and of all.
        """
        todo = [task for task, entry in entries.items() if not self._has(entry)]
        done = len(entries) - len(todo)
        progress(done, len(entries))
        if todo:
            with closing(workers.run(work, todo)) as results:
                for number, (task, value) in enumerate(results, start=done + 1):
                    self._keep(entries[task], value)
                    progress(number, len(entries))
        return {task: self._value(entry) for task, entry in entries.items()}

    def _has(self, entry: Entry) -> bool:
        return _key(entry) in self._values

    def _value(self, entry: Entry) -> Any:
        value = self._values[_key(entry)]
        return math.nan if value is None else value

    def _keep(self, entry: Entry, value: Any) -> None:
        kept = None if isinstance(value, float) and not math.isfinite(value) else value
        setting, point = entry
        self._file.append({"schema": _SCHEMA, "setting": setting, "point": point, "value": kept})
        self._values[_key(entry)] = kept

    def _add(self, line: Mapping[str, Any]) -> None:
        if line["schema"] != _SCHEMA:
            raise ValueError(_SCHEMA)
        self._values[_key((line["setting"], line["point"]))] = line["value"]


def _key(entry: Entry) -> str:
    return json.dumps(entry, sort_keys=True)
