"""Outputs under noise have the same distribution on every backend.

The model runs with `trials` noise samples on ONNX Runtime with the operator library, and with as many other ones on
each of: ONNX Runtime with the standard operators that the file defines, and every other backend that runs the noisy
model (backends that compute other integers refuse it; give them baked models). What a backend computes without noise is
subtracted, so rounding does not count.

Three statistics compare the two sides: the log ratio of the total variances of the outputs' principal components, the
two-sample distance of Kolmogorov and Smirnov, mean over the elements of the outputs, and the norm of the difference of
their means, each element divided by its standard deviation. P-values come from a permutation test over trials: it is
exact whatever the outputs' distribution and dependence (Phipson and Smyth 2010, "Permutation p-values should never be
zero"). Over all backends and statistics together the chance of a false alarm is at most alpha (Holm 1979).

The note of each backend says which error of sigma would have been found with a probability of 90 %. It shrinks with the
square root of the trials, and with that of the number of outputs that vary independently: with 200 trials and 40 such
outputs it is about 5 %. There are more of them where --data, or the model's batch, has more samples: up to 16 are used.

A backend that fails draws other noise than the others, or computes otherwise once there is noise: figures measured on
one do not hold on the other.

To fix: run `nmtool doctor` and rebuild the operator library; where NM303 fails too, inject again. For a backend
whose noise cannot be repaired use `nmtool bake`.
"""

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist

from nmtool.backends import Array
from nmtool.checks.effort import effort
from nmtool.checks.engines import absent, loader, present
from nmtool.checks.finding import NO_NOISE, Finding, brief, error, not_checked, note, warning
from nmtool.checks.samples import Effect, comparable, effect, visible
from nmtool.checks.statistics import TwoSample, holm, two_sample_test
from nmtool.checks.subject import SAMPLES, Subject
from nmtool.errors import ModelError, SetupError
from nmtool.verbs.noisy import NoisyRunner

_SECONDS = 300.0  # that the trials of a backend may take
_MACS, _MOST_SAMPLES = 1e12, 16  # multiply-accumulates of all trials, and samples, where more than SAMPLES are run
_POWER = 0.9
_BODIES = "onnxruntime with standard operators"
_FIX = "`nmtool explain NM305` has more; give this backend models made by `nmtool bake`"


def check(subject: Subject) -> Iterator[Finding]:
    """Compare every backend with ONNX Runtime."""
    if subject.noisy is None:
        yield NO_NOISE
        return
    noisy, _ = subject.made_noisy
    trials, feeds = subject.request.trials, _feeds(subject)
    reference = loader(subject, "onnxruntime")(noisy)
    library = reference.runner.library
    name = "onnxruntime with the operator library" if library else _BODIES
    expected = _effect(subject, name, reference, feeds, range(trials))
    if not visible([expected]).any():
        message = f"no output changes with the noise in {trials} trials"
        yield warning(message, "look at NM302: the trial may not reach the noise; or give a larger --eta")
        return
    loaders = {each: loader(subject, each) for each in present(subject) if each != "onnxruntime"}
    if library:
        loaders = {_BODIES: loader(subject, "onnxruntime", library=False), **loaders}
    else:
        yield not_checked("the operator library is not there", "build it: `nmtool doctor` has the command")
    others: dict[str, Effect] = {}
    for backend, load in loaders.items():
        try:
            others[backend] = _effect(subject, backend, load(noisy), feeds, range(trials, 2 * trials))
        except (ModelError, SetupError) as failure:
            yield not_checked(f"{backend}: {brief(failure.message)}", failure.hint or "", backend=backend)
    yield from absent(subject)
    yield from _judge(subject, name, expected, others)


def _effect(subject: Subject, name: str, runner: NoisyRunner, feeds: Mapping[str, Array], trials: range) -> Effect:
    def progress(done: int) -> None:
        subject.progress(f"noise on {name}", done, len(trials))

    return effect(runner, subject.outputs, feeds, trials, _SECONDS, progress)


def _judge(subject: Subject, name: str, expected: Effect, others: dict[str, Effect]) -> Iterator[Finding]:
    """Test every backend on every statistic."""
    alpha = subject.request.alpha
    hypotheses = 3 * len(others)
    rounds = max(999, math.ceil(2 * hypotheses / alpha))  # so that the smallest p-value can be small enough
    results: dict[str, TwoSample] = {}
    for backend, found in others.items():
        if found.values.shape != expected.values.shape:
            message = f"{backend}: its outputs have other shapes than on {name}"
            yield error(message, _FIX, backend=backend)
            continue
        subject.progress(f"comparing {backend}", 0, 1)
        first, second = comparable([expected, found])
        if not first.size:
            message = f"{backend}: its outputs without noise are as far from those of {name} as the noise takes them"
            yield not_checked(message, "see NM205; or give a larger --eta", backend=backend)
            continue
        results[backend] = two_sample_test(first, second, rounds, subject.request.seed)
    keys = [(backend, statistic) for backend, result in results.items() for statistic in result.p_values]
    adjusted = dict(zip(keys, holm([results[backend].p_values[s] for backend, s in keys]), strict=True))
    found_at = NormalDist().inv_cdf(1 - alpha / hypotheses / 2) + NormalDist().inv_cdf(_POWER)  # standard errors
    for backend, result in results.items():
        p_values = {statistic: adjusted[backend, statistic] for statistic in result.p_values}
        detectable = found_at * result.resolution
        facts = {"backend": backend, "against": name, "trials": len(expected.values), "p_values": p_values}
        facts |= {"sigma_ratio": result.sigma_ratio, "detectable": detectable}
        failed = [statistic for statistic, p in p_values.items() if p <= alpha]
        if failed:
            message = (
                f"{backend}: outputs under noise are distributed otherwise than on {name}: {', '.join(failed)} differ, "
                f"sigma is {result.sigma_ratio:.4g} times as large, p-value {min(p_values.values()):.2g}"
            )
            yield error(message, _FIX, **facts)
        else:
            message = (
                f"{backend}: as on {name}, sigma is {result.sigma_ratio:.4g} times as large; "
                f"an error of sigma of {detectable:.1%} would be found"
            )
            yield note(message, **facts)


def _feeds(subject: Subject) -> Mapping[str, Array]:
    """As many samples as are quickly run: the more, the smaller the error of sigma that is found."""
    needed = effort(subject.clean, {name: array.shape for name, array in subject.feeds.items()}).macs / SAMPLES
    quick = _MACS / max(needed * subject.request.trials, 1.0)
    return subject.samples(min(_MOST_SAMPLES, max(SAMPLES, int(quick))))
