"""Work for executors, whose workers die when they are told to."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nmtool.errors import UsageError


@dataclass(frozen=True)
class Chore:
    """Squares a number plus the number in a file, which lies beside another file.

    Attributes:
        folder: has the files "number" and "beside"; each worker that opens leaves a file "opened-<process>" in it, and
            one that is killed a file "killed-<task>".
        kills: task -> how often it kills its worker.
        refuses: a task that cannot be done.
    """

    folder: Path
    kills: dict[int, int] = field(default_factory=dict)
    refuses: int | None = None

    @property
    def files(self) -> Sequence[Sequence[Path]]:
        return [[self.folder / "number", self.folder / "beside"]]

    def open(self, locate: Callable[[Path], Path]) -> Callable[[int], int]:
        number = locate(self.folder / "number")
        assert number.with_name("beside").is_file()
        offset = int(number.read_text())
        (self.folder / f"opened-{os.getpid()}").touch()
        return lambda task: self._do(task, offset)

    def _do(self, task: int, offset: int) -> int:
        if task == self.refuses:
            raise UsageError(f"not this one: {task}", hint="another")
        log = self.folder / f"killed-{task}"
        killed = log.stat().st_size if log.exists() else 0
        if killed < self.kills.get(task, 0):
            log.write_text("x" * (killed + 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return task**2 + offset
