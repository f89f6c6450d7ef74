"""Several processes on this machine."""

import contextlib
import os
import pickle
import signal
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from typing import Any, ClassVar

from nmtool.errors import NmtoolError, UsageError
from nmtool.executors.executor import Losses, Result, Task, Work

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Processes:
    """Worker processes, each with what the work opens of its own.

    They end when this process ends, however it does: each waits on a pipe to it.

    Attributes:
        jobs: number of processes.
        threads: of the numeric libraries in each.
    """

    jobs: int
    threads: int
    here: ClassVar[bool] = False

    def run(self, work: Work[Task, Result], tasks: Sequence[Task]) -> Generator[tuple[Task, Result], None, None]:
        """See Executor.run."""
        waiting, losses = deque(tasks), Losses()
        workers: dict[connection.Connection, tuple[SpawnProcess, Task]] = {}
        try:
            for _ in range(min(self.jobs, len(tasks))):
                self._start(work, waiting.popleft(), workers)
            while workers:
                for ready in connection.wait(list(workers)):
                    assert isinstance(ready, connection.Connection)
                    process, task = workers[ready]
                    try:
                        result = ready.recv()
                    except (EOFError, OSError):
                        process.join()
                        losses.add(task, f"with exit code {process.exitcode}")
                        _end([(ready, workers.pop(ready)[0])])
                        self._start(work, task, workers)
                        continue
                    if isinstance(result, NmtoolError):
                        raise result
                    losses.clear(task)
                    yield task, result
                    if waiting:
                        workers[ready] = process, waiting.popleft()
                        _send(ready, workers[ready][1])
                    else:
                        _end([(ready, workers.pop(ready)[0])])
        finally:
            _end([(ours, process) for ours, (process, _) in workers.items()])

    def _start(
        self, work: Work[Task, Any], task: Task, workers: dict[connection.Connection, tuple[SpawnProcess, Task]]
    ) -> None:
        """Start a worker on its first task."""
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, work), daemon=True)
        try:
            with _environment(dict.fromkeys(_THREAD_VARIABLES, str(self.threads))):
                process.start()
        except (
            pickle.PicklingError,
            AttributeError,
            TypeError,
        ) as error:  # what pickle raises, depending on the object
            raise UsageError(f"the data cannot be given to processes: {error}", hint="use a file or one job") from error
        theirs.close()  # so that the worker's death is an end of file here
        workers[ours] = process, task
        _send(ours, task)


def _send(worker: connection.Connection, task: Any) -> None:
    with contextlib.suppress(BrokenPipeError):  # it died while it was idle; what comes next from it says so
        worker.send(task)


def _end(workers: Sequence[tuple[connection.Connection, SpawnProcess]]) -> None:
    for ours, process in workers:
        ours.close()
        process.terminate()
    for _, process in workers:
        process.join()
        process.close()


def _work(pipe: connection.Connection, work: Work[Any, Any]) -> None:
    """A worker's life: do what comes through the pipe until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is the parent's to handle
    do = None
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            task = pipe.recv()
            try:
                do = do or work.open(lambda path: path)
                pipe.send(do(task))
            except NmtoolError as error:
                pipe.send(error)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
