"""Evaluate points one after another, or on several worker processes."""

import contextlib
import os
import pickle
import signal
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from typing import TypeAlias

from nmtool.errors import NmtoolError, SetupError, UsageError
from nmtool.verbs.sweep.evaluate import Evaluators, Measurement
from nmtool.verbs.sweep.models import NoisyModel
from nmtool.verbs.sweep.plan import Point

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Outcome:
    """An evaluated point; see Record for the fields."""

    point: Point
    value: float
    seconds: float
    runtime: str
    library: bool


Outcomes: TypeAlias = Generator[Outcome, None, None]


def serially(points: Sequence[Point], models: Mapping[str, NoisyModel], evaluators: Evaluators) -> Outcomes:
    """Evaluate in this process.

    Raises:
        NmtoolError: an evaluation failed.
    """
    for point in points:
        yield _evaluate(point, models[point.model], evaluators)


def in_processes(
    points: Sequence[Point], models: Mapping[str, NoisyModel], measurement: Measurement, jobs: int, threads: int
) -> Outcomes:
    """Evaluate in `jobs` processes, each with a session of its own; outcomes come as they are ready.

    The workers end when this process ends, however it does: each waits on a pipe to it.

    Args:
        points: to evaluate.
        models: by label.
        measurement: what to do.
        jobs: number of processes.
        threads: of the numeric libraries in each of them.

    Raises:
        NmtoolError: an evaluation failed.
        SetupError: a worker died.
        UsageError: the data source cannot be pickled.
    """
    waiting = iter(points)
    workers: dict[connection.Connection, SpawnProcess] = {}
    try:
        with _environment(dict.fromkeys(_THREAD_VARIABLES, str(threads))):
            for _ in range(min(jobs, len(points))):
                ours, process = _start(measurement)
                workers[ours] = process
        for ours in workers:
            point = next(waiting)
            ours.send((point, models[point.model]))
        busy = set(workers)
        while busy:
            for ready in connection.wait(list(busy)):
                assert isinstance(ready, connection.Connection)
                yield _receive(ready, workers[ready])
                following = next(waiting, None)
                if following is None:
                    busy.remove(ready)
                else:
                    ready.send((following, models[following.model]))
    finally:
        for ours, process in workers.items():
            ours.close()
            process.terminate()
        for process in workers.values():
            process.join()
            process.close()


def _start(measurement: Measurement) -> tuple[connection.Connection, SpawnProcess]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, measurement), daemon=True)
    try:
        process.start()
    except (pickle.PicklingError, AttributeError, TypeError) as error:  # what pickle raises, depending on the object
        raise UsageError(f"the data cannot be given to processes: {error}", hint="use a file or one job") from error
    theirs.close()  # so that the worker's death is an end of file here
    return ours, process


def _receive(ready: connection.Connection, process: SpawnProcess) -> Outcome:
    try:
        outcome = ready.recv()
    except (EOFError, ConnectionResetError) as error:
        process.join()
        raise SetupError(
            f"a worker process ended with exit code {process.exitcode}",
            hint='use fewer jobs if memory is short; in a script, call sweep under `if __name__ == "__main__":`',
        ) from error
    if isinstance(outcome, NmtoolError):
        raise outcome
    assert isinstance(outcome, Outcome)
    return outcome


def _work(pipe: connection.Connection, measurement: Measurement) -> None:
    """A worker's life: evaluate what comes through the pipe until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is the parent's to handle
    evaluators = Evaluators(measurement)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            point, model = pipe.recv()
            try:
                pipe.send(_evaluate(point, model, evaluators))
            except NmtoolError as error:
                pipe.send(error)


def _evaluate(point: Point, model: NoisyModel, evaluators: Evaluators) -> Outcome:
    evaluator = evaluators.get(model)
    start = time.perf_counter()
    value = evaluator.evaluate(point)
    return Outcome(point, value, time.perf_counter() - start, evaluator.runtime, evaluator.library)


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
