"""Where everything that the command line prints goes through.

Results go to stdout, as text or, with --json, as one document. Everything else goes to stderr.
"""

import json
import math
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmtool.atomic import written_whole
from nmtool.errors import UsageError


@dataclass(frozen=True)
class Output:
    """How a command prints.

    Attributes:
        command: name of the command, which names the schema of its JSON document.
        line: the whole command line, which the document records; "" where there is none.
        as_json: print one JSON document instead of text.
        quiet: print neither notes nor progress.
        record: file that gets the document too.
    """

    command: str
    line: str = ""
    as_json: bool = False
    quiet: bool = False
    record: Path | None = None

    def result(self, document: Mapping[str, Any], text: Callable[[], None]) -> None:
        """Print the result of the command: `document` with --json, else whatever `text` prints; record it."""
        if self.record is not None:
            self.write(self.record, document)
        if self.as_json:
            print(self.text_of(document))
        else:
            text()

    def write(self, path: Path, document: Mapping[str, Any]) -> None:
        """Write the document to a file, and say so."""
        with written_whole(path) as staged:
            staged.write_text(f"{self.text_of(document)}\n", encoding="utf-8")
        self.note(f"wrote: {path}")

    def text_of(self, document: Mapping[str, Any]) -> str:
        """The document as JSON, with the name of its schema and the command line that it is the result of."""
        import nmtool

        head = {"schema": f"nmtool.{self.command}/1", "version": nmtool.__version__}
        if self.line:
            head["command_line"] = self.line
        return json.dumps(_valid({**head, **document, **head}), indent=2)  # the head comes first, and wins

    def note(self, message: str) -> None:
        """Tell the user something that is not the result."""
        if not self.quiet:
            print(message, file=sys.stderr)


def _valid(value: Any) -> Any:
    """The value with null for NaN and infinities, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _valid(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_valid(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str] = ()) -> None:
    """Print a table at its natural width, so that no name is ever cut, in a terminal or in a pipe.

    Args:
        columns: the headings.
        rows: the cells.
        right: the headings of the columns that are aligned to the right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        grid.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    console = Console(file=sys.stdout, width=10_000)
    console.width = console.measure(grid).maximum
    with console.capture() as captured:
        console.print(grid, crop=False)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def number(value: float | None, digits: int = 3) -> str:
    """A figure as text with `digits` significant digits; a dash where there is none."""
    return "-" if value is None else f"{value:#.{digits}g}".rstrip(".")


def interval(low: float | None, high: float | None, digits: int) -> str:
    """Both ends as text; a dash where there are none."""
    return "-" if low is None else f"{number(low, digits)} to {number(high, digits)}"


def percent(share: float | None) -> str:
    """A share as text, in percent; a dash where there is none."""
    return "-" if share is None else f"{share:.1%}"


def refuse_overwriting(paths: Iterable[Path | None], force: bool) -> None:
    """Stop before any work is done when a file that would be written exists or has no folder to go to.

    Raises:
        UsageError: the file exists and --force was not given, or its folder does not exist.
    """
    for path in paths:
        if path is None:
            continue
        if path.exists() and not force:
            raise UsageError(f"output file exists: {path}", hint="choose another name or add --force")
        if not path.parent.is_dir():
            raise UsageError(f"no such folder: {path.parent}", hint=f"mkdir -p {path.parent}")
