"""What executors cost: time to the first result, overhead of a task, and how work scales with workers.

    python benchmarks/executors.py [EXECUTOR ...]

EXECUTOR is "processes", "ray://HOST:PORT" or "dask://HOST:PORT"; "ray://" starts a cluster on this machine if there is
none.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nmtool import executors

EMPTY = 1000  # tasks
BUSY, SECONDS = 100, 0.05  # tasks, and CPU time of each


class Spin:
    """Tasks are (number, CPU seconds)."""

    files: Sequence[Sequence[Path]] = ()

    def open(self, locate: Callable[[Path], Path]) -> Callable[[tuple[int, float]], None]:
        return spin


def spin(task: tuple[int, float]) -> None:
    end = time.process_time() + task[1]
    while time.process_time() < end:
        pass


def measure(name: str, jobs: int) -> tuple[float, float, float]:
    """Seconds to the first result, of an empty task, and of all busy tasks, start not counted."""
    with executors.connect(name, jobs=jobs, threads=jobs) as executor:
        moments = [time.perf_counter()]
        for _ in executor.run(Spin(), [(number, 0.0) for number in range(EMPTY)]):
            moments.append(time.perf_counter())
        tasks = [(-each, 0.0) for each in range(1, jobs + 1)] + [(number, SECONDS) for number in range(BUSY)]
        busy = [time.perf_counter() for _ in executor.run(Spin(), tasks)]
    return moments[1] - moments[0], (moments[-1] - moments[1]) / EMPTY, busy[-1] - busy[jobs - 1]


if __name__ == "__main__":
    print(f"{'executor':<12} workers  first result  empty task  {BUSY} tasks of {SECONDS * 1e3:.0f} ms")
    for name in sys.argv[1:] or ["processes"]:
        for jobs in (1, 2):
            first, empty, busy = measure(name, jobs)
            print(f"{name:<12} {jobs:>7}  {first:>10.2f} s  {empty * 1e3:>7.3f} ms  {busy:>6.2f} s")
