"""Where independent tasks are done: in this process, in several, or on a cluster."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from nmtool.errors import UsageError
from nmtool.executors.executor import Executor as Executor
from nmtool.executors.executor import Here as Here
from nmtool.executors.executor import Work as Work

PROCESSES = "processes"


@contextmanager
def connect(name: str | Executor, *, jobs: int | None, threads: int | None, gpu: bool = False) -> Iterator[Executor]:
    """The executor of a name, for as long as the context lasts.

    Args:
        name: "processes", "ray://HOST:PORT" for a Ray cluster, or "dask://HOST:PORT" for the scheduler of a Dask one;
            "ray://" is the cluster this machine belongs to, or a new one on this machine alone. An executor stays
            itself, whatever the other arguments are.
        jobs: number of workers. None: one process; on a cluster one for each machine, or for each GPU.
        threads: of all workers together; None: one per core.
        gpu: every worker needs a GPU of its own; a cluster is asked for them.

    Raises:
        UsageError: there is no such executor, or no job.
        SetupError: it is not installed, or does not answer.
    """
    if not isinstance(name, str):
        yield name
        return
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs must be at least 1, not {jobs}")
    scheme, separator, address = name.partition("://")
    if name == PROCESSES:
        if jobs in (None, 1):
            yield Here(threads)
        else:
            from nmtool.executors.processes import Processes

            yield Processes(jobs, max(1, (threads or os.cpu_count() or 1) // jobs))
    elif scheme == "ray" and separator:
        from nmtool.executors import ray

        with ray.connected(name, jobs, threads, gpu) as executor:
            yield executor
    elif scheme == "dask" and address:
        from nmtool.executors import dask

        with dask.connected(address, jobs, threads, gpu) as executor:
            yield executor
    else:
        hint = f"choose {PROCESSES}, ray://HOST:PORT or dask://HOST:PORT"
        raise UsageError(f"no executor is named {name!r}", hint=hint)
