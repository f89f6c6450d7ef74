"""A Dask cluster: its workers keep what the work opens, and its scheduler replaces those that are lost."""

import importlib.metadata
import pickle
import shutil
import tempfile
import threading
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nmtool.errors import SetupError, UsageError
from nmtool.executors.executor import Result, Task, Work
from nmtool.executors.files import Copies, Facts, Groups, facts

_TIMEOUT = 30  # seconds that a cluster has to answer


@contextmanager
def connected(address: str, jobs: int | None, threads: int | None, gpu: bool) -> Iterator["Dask"]:
    """A Dask cluster, for as long as the context lasts.

    Args:
        address: "HOST:PORT" of the scheduler.
        jobs: number of tasks at a time; None: one for each worker of the cluster, or for each that has a GPU.
        threads: of all jobs together; None: as many as the workers have.
        gpu: every job needs a worker with a GPU, which was started with `--resources GPU=1`.

    Raises:
        SetupError: Dask is not installed, or the cluster does not answer or has no worker, or none with a GPU.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise SetupError("dask is not installed", hint="pip install 'nmtool[dask]'") from error
    try:
        client = Client(address, timeout=_TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SetupError(
            f"no Dask scheduler answers at {address}: {error}", hint="is `dask scheduler` running there?"
        ) from error
    with client:
        with suppress(TimeoutError):  # those that were lost may be on their way back
            client.wait_for_workers(1, timeout=_TIMEOUT)
        workers = client.scheduler_info()["workers"].values()
        if gpu:
            workers = [worker for worker in workers if worker["resources"].get("GPU")]
        if not workers:
            raise SetupError(
                f"the Dask cluster {address} has no worker{' with a GPU' * gpu}",
                hint=f"dask worker {address}{' --resources GPU=1' * gpu}",
            )
        cores = [worker["nthreads"] for worker in workers]
        count = jobs or len(workers)
        yield Dask(client, count, max(1, min((threads or sum(cores)) // count, max(cores))), int(gpu))


@dataclass(frozen=True)
class Dask:
    """The workers of a cluster that is connected; which of them does a task is the scheduler's choice.

    Attributes:
        client: the connection.
        jobs: number of tasks at a time.
        threads: that each task uses.
        gpus: that each task asks for.
    """

    client: Any
    jobs: int
    threads: int
    gpus: int
    here: ClassVar[bool] = False

    def run(self, work: Work[Task, Result], tasks: Sequence[Task]) -> Generator[tuple[Task, Result], None, None]:
        """See Executor.run."""
        from distributed import KilledWorker, as_completed

        waiting, at, running = deque(tasks), {}, as_completed(loop=self.client.loop)
        setup = _Setup(work, facts(work.files), f"nmtool-{uuid.uuid4().hex}", importlib.metadata.version("nmtool"))
        try:
            held = self._hold(setup)

            def start() -> None:
                if waiting:
                    task = waiting.popleft()
                    future = self._submit(_do, held, task)
                    at[future] = task
                    running.add(future)

            for _ in range(self.jobs):
                start()
            for future in running:
                task = at.pop(future)
                done: _Done = future.result()
                if done.missing:
                    self._supply(done.worker, setup.folder, done.missing)
                    waiting.appendleft(task)
                start()
                if not done.missing:
                    yield task, done.result
        except KilledWorker as error:
            raise SetupError(
                f"{error.allowed_failures + 1} workers were lost at {task}", hint="use fewer jobs if memory is short"
            ) from error
        except CancelledError as error:
            raise SetupError(f"the Dask cluster was lost: {error}") from error
        finally:
            self.client.cancel(list(at))
            self.client.run(_clear, setup.folder, on_error="ignore")

    def _hold(self, setup: "_Setup") -> Any:
        """Give the cluster what all tasks need; a task too, which is done again where its result is lost."""
        try:
            return self._submit(_same, setup)
        except (pickle.PicklingError, TypeError) as error:
            raise UsageError(f"the data cannot be given to workers: {error}", hint="use a file") from error

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        resources = {"GPU": self.gpus} if self.gpus else None
        return self.client.submit(function, *arguments, resources=resources, pure=False)

    def _supply(self, worker: str, folder: str, files: Sequence[Facts]) -> None:
        """Send a worker files; where it has gone meanwhile, the next one asks for them."""
        for file in files:
            pieces = list(file.pieces())
            self.client.run(_add, folder, file, pieces, workers=[worker], on_error="ignore")


@dataclass(frozen=True)
class _Setup:
    """What a worker needs to begin.

    Attributes:
        work: the work.
        groups: the files that it reads.
        folder: where workers put copies of those they have not; the name of the run as well.
        version: of nmtool.
    """

    work: Work[Any, Any]
    groups: Groups
    folder: str
    version: str


@dataclass(frozen=True)
class _Done:
    """What comes back: a result, or what a worker has not.

    Attributes:
        worker: its address.
        missing: files that are to be sent there before the task can be done.
        result: of the task.
    """

    worker: str
    missing: Sequence[Facts] = ()
    result: Any = None


_opened: dict[str, Callable[[Any], Any]] = {}  # by run: what a worker does in it
_lock = threading.Lock()  # a worker with several threads does one task at a time, with all of them


def _same(setup: _Setup) -> _Setup:
    return setup


def _do(setup: _Setup, task: Any) -> _Done:
    """Do a task, in a worker."""
    from distributed import get_worker

    worker = get_worker().address
    with _lock:
        if setup.folder not in _opened:
            if (own := importlib.metadata.version("nmtool")) != setup.version:
                raise SetupError(f"a machine of the cluster has nmtool {own}, this one {setup.version}")
            copies = Copies(setup.groups, _place(setup.folder))
            if missing := copies.missing():
                return _Done(worker, missing)
            _opened[setup.folder] = setup.work.open(copies.locate)
        return _Done(worker, result=_opened[setup.folder](task))


def _add(folder: str, file: Facts, pieces: Sequence[bytes]) -> None:
    Copies([[file]], _place(folder)).add(file, pieces)


def _clear(folder: str) -> None:
    """Let go of what was opened, and remove the copies."""
    _opened.pop(folder, None)
    shutil.rmtree(_place(folder), ignore_errors=True)


def _place(folder: str) -> Path:
    return Path(tempfile.gettempdir()) / folder
