"""Files of JSON lines that are appended as results come, so that a killed process loses nothing.

Every line is complete in itself. A line that was being written when the process died is dropped on opening.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from nmtool.errors import UsageError


class JsonLines:
    """A file of objects, one a line; use it as a context. Without a path nothing is kept."""

    def __init__(self, path: Path | None, read: Callable[[Mapping[str, Any]], None], what: str) -> None:
        """Open, and read what is there.

        Args:
            path: the file; it need not exist.
            read: is given each object that is there; raises ValueError, KeyError or TypeError for one that is not its.
            what: each line is, for messages.

        Raises:
            UsageError: the file has other lines, or cannot be written.
        """
        self._path = path
        self._file: BinaryIO | None = None
        if path is None:
            return
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise UsageError(f"cannot write results to {path}: {error.strerror}") from error
        try:
            self._read(self._file, read, what)
        except UsageError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None and self._path is not None:
            empty = self._file.seek(0, os.SEEK_END) == 0
            self._file.close()
            if empty:  # it failed before the first result
                self._path.unlink()

    def append(self, fields: Mapping[str, Any]) -> None:
        """Add a line; it is on the disk when this returns. Numbers in it must be finite."""
        if self._file is not None:
            self._file.write(json.dumps(fields, allow_nan=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self, file: BinaryIO, read: Callable[[Mapping[str, Any]], None], what: str) -> None:
        file.seek(0)
        whole = 0  # bytes of complete lines
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                read(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(f"line {number} of {self._path} is not {what}") from error
            whole += len(line)
        file.truncate(whole)
