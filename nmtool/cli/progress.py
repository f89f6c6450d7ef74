"""Progress on stderr: a bar with the time left in a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from nmtool.cli.output import Output

SECONDS_BETWEEN_LINES = 5.0

TrainingReport = Callable[[int, int, Mapping[str, float]], None]
"""See `nmtool.verbs.distill.TrainingProgress`."""


class Report(Protocol):
    """Told what is done."""

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Show it.

        Args:
            done: what is done.
            total: what there is to do.
            text: anything else to show.
        """


@contextmanager
def progress(out: Output, label: str) -> Iterator[Report]:
    """A callback that shows progress while the context lasts; silent with --quiet."""
    if out.quiet:
        yield lambda done, total, text="": None
    elif sys.stderr.isatty():
        yield from _bar(label)
    else:
        yield _lines(label)


@contextmanager
def training_progress(out: Output, *, show: bool) -> Iterator[TrainingReport]:
    """As `progress`, with the numbers of the last step beside it."""
    with progress(out if show else replace(out, quiet=True), "train") as report:
        validated: dict[str, float] = {}

        def show_step(done: int, total: int, numbers: Mapping[str, float]) -> None:
            if not numbers:
                report(done, total, "outputs of the teacher")
                return
            validated.update({name: numbers[name] for name in ("clean", "noisy") if name in numbers})
            shown = {"loss": numbers["loss"], **validated}
            report(done, total, ", ".join(f"{name} {value:.4g}" for name, value in shown.items()))

        yield show_step


def _bar(label: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, text="")
        yield lambda done, total, text="": bar.update(task, completed=done, total=total, text=text)


def _lines(label: str) -> Report:
    start = last = time.monotonic()
    before = 0

    def report(done: int, total: int, text: str = "") -> None:
        nonlocal start, last, before
        now = time.monotonic()
        if done < before:  # something else has begun
            start = now
        before = done
        if now - last >= SECONDS_BETWEEN_LINES and done:
            last = now
            left = (now - start) / done * (total - done)
            print(f"{label}: {done} of {total}, {left:.0f} s left{', ' * bool(text)}{text}", file=sys.stderr)

    return report
