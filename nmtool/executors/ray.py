"""A Ray cluster: one actor for each worker, which keeps what the work opens."""

import importlib.metadata
import os
import pickle
import shutil
import tempfile
import textwrap
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from nmtool.errors import NmtoolError, SetupError, UsageError
from nmtool.executors.executor import Losses, Result, Task, Work
from nmtool.executors.files import Copies, Facts, Groups, facts

_LOCAL = "ray://"


@contextmanager
def connected(address: str, jobs: int | None, threads: int | None, gpu: bool) -> Iterator["Ray"]:
    """A Ray cluster, for as long as the context lasts; a connection that the caller has made is used, and stays.

    Args:
        address: "ray://HOST:PORT" of Ray's client server; "ray://": the cluster that this machine, or RAY_ADDRESS,
            belongs to, else a new one on this machine.
        jobs: number of workers; None: one for each machine, or for each GPU.
        threads: of all workers together; None: one per core of the cluster.
        gpu: every worker needs a GPU.

    Raises:
        SetupError: Ray is not installed, or the cluster does not answer or has no GPU.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here reports nothing
    try:
        import ray
    except ImportError as error:
        raise SetupError("ray is not installed", hint="pip install 'nmtool[ray]'") from error
    joined = ray.is_initialized()
    if not joined:
        try:
            ray.init(None if address == _LOCAL else address, log_to_driver=False, logging_level="warning")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise SetupError(
                f"no Ray cluster answers at {address}: {error}",
                hint="is its client server there, and is RAY_AUTH_TOKEN what it is on the cluster?",
            ) from error
    try:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = int(sum(each.get("GPU", 0) for each in machines))
        if gpu and not gpus:
            raise SetupError(f"the Ray cluster {address} has no GPU", hint="leave out --device cuda")
        cores = [int(each.get("CPU", 0)) for each in machines]
        workers = jobs or (gpus if gpu else len(machines))
        yield Ray(workers, max(1, min((threads or sum(cores)) // workers, max(cores))), int(gpu))
    finally:
        if not joined:
            ray.shutdown()


@dataclass(frozen=True)
class Ray:
    """Workers on a cluster that is connected; those that find no machine wait for one while the others work.

    Attributes:
        jobs: number of workers.
        threads: CPUs that each asks for, and threads of its numeric libraries.
        gpus: that each asks for.
    """

    jobs: int
    threads: int
    gpus: int
    here: ClassVar[bool] = False

    def run(self, work: Work[Task, Result], tasks: Sequence[Task]) -> Generator[tuple[Task, Result], None, None]:
        """See Executor.run."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        team = _Team.gather(self, work)
        waiting, losses = deque(tasks), Losses()
        at: dict[Any, tuple[Any, Task | None]] = {}  # what is awaited -> the worker, and what it is at
        try:
            for _ in range(min(self.jobs, len(tasks))):
                team.start(at)
            while waiting or any(task is not None for _, task in at.values()):
                (ready,), _ = ray.wait(list(at), num_returns=1)
                worker, task = at.pop(ready)
                try:
                    result = ray.get(ready)
                except RayTaskError:  # a fault in the work, not in the cluster
                    raise
                except RayError as error:
                    last = str(error).strip().rpartition("\n")[2]
                    losses.add(task, f"with {type(error).__name__}: {textwrap.shorten(last, 200)}")
                    if task is not None:
                        waiting.appendleft(task)
                    team.start(at)
                    continue
                if isinstance(result, NmtoolError):
                    raise result
                losses.clear(task)
                if task is None:
                    team.supply(worker, result)
                if waiting:
                    following = waiting.popleft()
                    at[worker.do.remote(following)] = worker, following
                if task is not None:
                    yield task, result
        finally:
            team.dismiss()


@dataclass
class _Team:
    """The actors, and what they all need, which is put into the cluster once.

    Attributes:
        actor: the class, with the resources it asks for.
        work: reference to the work.
        groups: the files that the work reads.
        folder: where workers put copies of those they have not.
        sent: references to the content of files that some worker had not.
        workers: all that were started.
    """

    actor: Any
    work: Any
    groups: Groups
    folder: str
    sent: dict[Facts, list[Any]] = field(default_factory=dict)
    workers: list[Any] = field(default_factory=list)

    @classmethod
    def gather(cls, settings: Ray, work: Work[Any, Any]) -> "_Team":
        import ray

        actor = ray.remote(_Worker).options(num_cpus=settings.threads, num_gpus=settings.gpus)
        try:
            held = ray.put(work)
        except (pickle.PicklingError, TypeError) as error:
            raise UsageError(f"the data cannot be given to workers: {error}", hint="use a file") from error
        return cls(actor, held, facts(work.files), f"nmtool-{uuid.uuid4().hex}")

    def start(self, at: dict[Any, tuple[Any, Any]]) -> None:
        """Ask for one more worker; what it has not comes as the result."""
        worker = self.actor.remote(self.work, self.groups, self.folder, importlib.metadata.version("nmtool"))
        self.workers.append(worker)
        at[worker.missing.remote()] = worker, None

    def supply(self, worker: Any, files: Sequence[Facts]) -> None:
        """Send a worker what it has not; its tasks come after."""
        import ray

        for file in files:
            if file not in self.sent:
                self.sent[file] = [ray.put(piece) for piece in file.pieces()]
            worker.add.remote(file, *self.sent[file])

    def dismiss(self) -> None:
        """End all workers, and remove their copies."""
        import ray
        from ray.exceptions import RayError

        if self.sent:
            with suppress(RayError):
                ray.wait([each.clear.remote() for each in self.workers], num_returns=len(self.workers), timeout=10)
        for each in self.workers:
            ray.kill(each)


class _Worker:
    """The actor. Errors that the user can mend are results: Ray would wrap them."""

    def __init__(self, work: Work[Any, Any], groups: Groups, folder: str, version: str) -> None:
        self._work, self._version = work, version
        self._folder = Path(tempfile.gettempdir()) / folder
        self._copies = Copies(groups, self._folder)
        self._do: Callable[[Any], Any] | None = None

    def missing(self) -> list[Facts] | SetupError:
        """The files that are to be sent here."""
        if (own := importlib.metadata.version("nmtool")) != self._version:
            return SetupError(f"a machine of the cluster has nmtool {own}, this one {self._version}")
        return self._copies.missing()

    def add(self, file: Facts, *pieces: bytes) -> None:
        """Take a file that was missing."""
        self._copies.add(file, pieces)

    def do(self, task: Any) -> Any:
        """Do a task."""
        try:
            self._do = self._do or self._work.open(self._copies.locate)
            return self._do(task)
        except NmtoolError as error:
            return error

    def clear(self) -> None:
        """Remove the copies."""
        shutil.rmtree(self._folder, ignore_errors=True)
