"""The log of a training: a CSV file, and TensorBoard where that is installed."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nmtool.atomic import written_whole
from nmtool.errors import UsageError

_STEP = "step"


class TrainingLog:
    """Numbers by step, in the file as soon as they are reported; use it as a context.

    The file of a training that was killed and resumed is that of one that never stopped, to the byte.

    Attributes:
        path: the CSV file, `log.csv` in the folder; TensorBoard's event files are beside it.
    """

    def __init__(self, folder: Path, columns: Sequence[str], resume: int | None = None) -> None:
        """Start the log, or go on with it.

        Args:
            folder: where to write; it exists.
            columns: names of the numbers that reports may have.
            resume: the step that training goes on after; what later ones have reported is dropped. None: training
                starts, and an earlier log is dropped.

        Raises:
            UsageError: the log to go on with is damaged or has other columns, or cannot be written.
        """
        self.path = folder / "log.csv"
        self._columns = (_STEP, *columns)
        header = self._line({name: name for name in self._columns})
        rows = [] if resume is None else self._rows(header, resume)
        with written_whole(self.path) as staged:
            staged.write_text("".join([header, *rows]), encoding="utf-8", newline="")
        self._file = self.path.open("a", encoding="utf-8", newline="")
        self._events = _event_writer(folder, 0 if resume is None else resume + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()

    def report(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a row.

        Args:
            step: higher than in all rows before.
            numbers: by column; the cells of other columns stay empty.

        Raises:
            ValueError: a number has no column.
        """
        exact = {name: number if isinstance(number, int) else float(number) for name, number in numbers.items()}
        self._file.write(self._line({_STEP: step, **exact}))
        self._file.flush()
        if self._events is not None:
            for name, number in exact.items():
                self._events.add_scalar(name, number, step)
            self._events.flush()

    def _line(self, cells: Mapping[str, object]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n").writerow(cells)  # floats as repr writes them
        return text.getvalue()

    def _rows(self, header: str, last: int) -> list[str]:
        """The rows on disk up to a step. A line without its end was being written when the process died."""
        try:
            with self.path.open(encoding="utf-8") as file:
                lines = [line for line in file if line.endswith("\n")]
            if lines and lines[0] != header:
                raise UsageError(
                    f"{self.path} has other columns: {lines[0].rstrip()}, now {header.rstrip()}",
                    hint="resume with the options that training was started with, or move the log away",
                )
            return [line for line in lines[1:] if int(line.partition(",")[0]) <= last]
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.path} is not the log of a training: {error}") from error


def _event_writer(folder: Path, first: int) -> Any:
    """TensorBoard's writer, or None where it is not installed; it hides earlier events of steps from `first` on."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(folder, purge_step=first)
