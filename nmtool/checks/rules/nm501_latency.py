"""What the noise costs in time, on every backend.

The time of one inference of the noisy model as a ratio to that of the clean one. Both run in turn in this process on
the same samples, with the runtime's default number of threads; the figure is the median over the pairs. Milliseconds
belong to this machine, ratios travel better.

Nothing fails here: the noise is a simulation, and the deployed model has none.
"""

import statistics
import time
from collections.abc import Iterator

from nmtool.checks.engines import present
from nmtool.checks.finding import NO_NOISE, Finding, not_checked, note
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError
from nmtool.verbs.noisy import NoisyRunner

_SECONDS, _PAIRS = 2.0, 15


def check(subject: Subject) -> Iterator[Finding]:
    """Time both models."""
    if subject.noisy is None:
        yield NO_NOISE
        return
    for backend in present(subject):
        try:
            clean, noisy = subject.on(backend, "clean"), subject.on(backend, "noisy")
            pairs = list(_pairs(subject, clean, noisy))
        except ModelError as failure:
            yield not_checked(f"{backend}: {failure.message}", backend=backend)
            continue
        ratio = statistics.median(b / a for a, b in pairs)
        milliseconds = [1e3 * statistics.median(times) for times in zip(*pairs, strict=True)]
        said = f"{backend}: {milliseconds[0]:.2f} ms clean, {milliseconds[1]:.2f} ms noisy, {ratio:.2f}x"
        yield note(said, backend=backend, clean_ms=milliseconds[0], noisy_ms=milliseconds[1], ratio=ratio)


def _pairs(subject: Subject, clean: NoisyRunner, noisy: NoisyRunner) -> Iterator[tuple[float, float]]:
    """Seconds of both in turn, after one run of each to warm up; at least one pair."""
    end = time.perf_counter() + _SECONDS
    _seconds(subject, clean, 0), _seconds(subject, noisy, 0)
    for trial in range(1, _PAIRS + 1):
        yield _seconds(subject, clean, trial), _seconds(subject, noisy, trial)
        if time.perf_counter() > end:
            return


def _seconds(subject: Subject, runner: NoisyRunner, trial: int) -> float:
    start = time.perf_counter()
    runner.run(runner.runner.outputs, subject.feeds, trial, 1.0)
    return time.perf_counter() - start
