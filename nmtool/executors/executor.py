"""What executors have in common: work to be done, and the tasks it consists of."""

from collections import Counter
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from nmtool.errors import SetupError

Task = TypeVar("Task", bound=Hashable)
Result = TypeVar("Result")
TaskIn = TypeVar("TaskIn", bound=Hashable, contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)

_ATTEMPTS = 3


class Work(Protocol[TaskIn, ResultOut]):
    """What is done to every task; it is pickled to get to a worker, once.

    A task is its own key: hashable, and all that its result depends on besides the work. A task that is done twice
    has the same result, so one whose worker was lost is given to another.
    """

    @property
    def files(self) -> Sequence[Sequence[Path]]:
        """The files that it reads, in groups: those of a group refer to each other by relative paths."""

    def open(self, locate: Callable[[Path], Path]) -> Callable[[TaskIn], ResultOut]:
        """Get ready, once in each worker.

        Args:
            locate: where a worker has one of `files`.

        Returns:
            What does a task; it raises NmtoolError where a task cannot be done.
        """


class Executor(Protocol):
    """Does tasks."""

    @property
    def here(self) -> bool:
        """Whether in this process."""

    @property
    def threads(self) -> int | None:
        """Threads that numeric libraries may use in each worker; None: as many as they like."""

    def run(self, work: Work[Task, Result], tasks: Sequence[Task]) -> Generator[tuple[Task, Result], None, None]:
        """Do all tasks; each comes once, with its result, as soon as it is done.

        Raises:
            NmtoolError: a task failed.
            SetupError: one task cost several workers, or none can be had.
            UsageError: the work cannot be pickled.
        """


@dataclass(frozen=True)
class Here:
    """One task after another, in this process."""

    threads: int | None = None
    here: ClassVar[bool] = True

    def run(self, work: Work[Task, Result], tasks: Sequence[Task]) -> Generator[tuple[Task, Result], None, None]:
        """See Executor.run."""
        do = None
        for task in tasks:
            do = do or work.open(lambda path: path)
            yield task, do(task)


class Losses:
    """Workers that were lost, by what they were at; a task that takes down every worker must come to an end."""

    def __init__(self) -> None:
        self._at: Counter[Hashable] = Counter()

    def add(self, task: Hashable, reason: str) -> None:
        """Count a loss.

        Args:
            task: what the worker was at; None: getting ready.
            reason: how it ended.

        Raises:
            SetupError: it was the third one there.
        """
        self._at[task] += 1
        if self._at[task] == _ATTEMPTS:
            raise SetupError(
                f"{_ATTEMPTS} workers were lost at {'their start' if task is None else task}, the last one {reason}",
                hint='use fewer jobs if memory is short; in a script, start under `if __name__ == "__main__":`',
            )

    def clear(self, task: Hashable) -> None:
        """Forget losses at a task that is done, and at starts: the cluster is alive."""
        self._at[task] = self._at[None] = 0
