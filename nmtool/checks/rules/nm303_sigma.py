"""Every noisy array draws the noise that its parameters state.

For every noisy array the file's own operators are run by themselves, from the array to the noisy array, on ONNX Runtime
with the operator library and on the bodies of the primitives in standard operators, which any other runtime uses.

Where the values are specified (with the library, and in models of opset 18 or later) each element is compared
with the numpy reference of docs/noise-spec.md, at scale 1 and 2 and in two trials, to a few units in the last place.
Elsewhere the noise is only right in distribution, and the variance of 65,536 draws or more is tested against the stated
one by chi-square (the frequencies of the values, for stuck faults); over all arrays together the chance of a false
alarm is alpha (Holm 1979). At scale 0 the array must be the clean one to the bit.

The note lists for each array sigma as measured on it, root mean square in weight units, beside the sigma of
the declared noise. Measured sigma has a relative standard error of about 0.4 %.

It fails where operators were edited or replaced: noise left out or added twice, the scale ignored, another generator.

To fix: inject the noise again with `nmtool inject`. If the message names the operator library, build it again: it is
not the one of this version (`nmtool doctor`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from nmtool import backends
from nmtool.checks.array_model import INPUT, OUTPUT, NoisyArray, array_model, noisy_arrays
from nmtool.checks.array_noise import Float64, neutral, p_values, specified, stored
from nmtool.checks.cells import held_arrays
from nmtool.checks.declared import noise_of
from nmtool.checks.engines import loader
from nmtool.checks.finding import NO_NOISE, Finding, brief, error, not_checked, note
from nmtool.checks.statistics import holm
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError
from nmtool.hardware import Hardware
from nmtool.noise.base import Stage
from nmtool.noise.cell import Cell
from nmtool.ops import SCALE, TRIAL
from nmtool.passes.graphs import label

_ELEMENTS = 1 << 15  # of each draw, at least: copies of an array that is smaller
_FIX = "inject the noise again, into the source model"
_SIDES = {True: "the operator library", False: "the standard operators"}


def check(subject: Subject) -> Iterator[Finding]:
    """Measure every array on both implementations."""
    if subject.noisy is None:
        yield NO_NOISE
        return
    noisy, record = subject.made_noisy
    noise = noise_of(record)
    if isinstance(noise, Cell | Hardware):
        yield from _held(subject, noisy)
        return
    stages = noise.stages()
    try:
        arrays = noisy_arrays(noisy)
    except ModelError as failure:
        yield error(failure.message, failure.hint or _FIX)
        return
    suspects: list[tuple[str, float]] = []  # by what, how probable
    measured: list[tuple[NoisyArray, float]] = []
    without_library = False
    for number, array in enumerate(arrays):
        subject.progress("measuring arrays", number, len(arrays))
        proto = array_model(noisy, array)
        sigmas = []
        for library, side in _SIDES.items():
            where = f"array {array.name!r} of node {label(array.nodes[-1])!r} on {side}"
            try:
                runner = loader(subject, "onnxruntime", library=library, threads=1)(proto).runner
                if library and not runner.library:
                    without_library = True
                    continue
                draws = _draw(runner, array, stages)
            except ModelError as failure:
                yield not_checked(f"{where}: {brief(failure.message)}", failure.hint or _FIX)
                continue
            facts = {"array": array.name, "node": label(array.nodes[-1]), "implementation": side}
            yield from _clean(draws, where, facts)
            if library or record.exact:
                yield from _exact(draws, array, stages, where, facts)
            else:
                suspects += [(where, p) for p in p_values(array, stages, draws.neutral, draws.noisy)]
            sigmas.append(draws.sigma)
        measured += [(array, sigma) for sigma in sigmas[:1]]
    yield from _improbable(suspects, subject.request.alpha)
    if without_library:
        yield not_checked("the operator library is not there", "build it: `nmtool doctor` has the command")
    yield _summary(subject, measured)


@dataclass(frozen=True)
class _Draws:
    """What the operators of an array did.

    Attributes:
        neutral: the array on which the noise is best seen.
        noisy: it with noise, by scale.
        stored: copies of the real array.
        clean: these at scale 0.
        sigma: root mean square of the noise on them at scale 1.
    """

    neutral: Float64
    noisy: dict[float, Float64]
    stored: Float64
    clean: Float64
    sigma: float


def _held(subject: Subject, noisy: ir.Model) -> Iterator[Finding]:
    """Arrays held in cells: one sample of each by the file's functions, and by the record."""
    right = 0
    for array in held_arrays(noisy, subject.declared):
        right += array.agrees
        facts = {"array": array.name, "node": label(array.node), "measured": array.sigma, "declared": array.declared}
        if not array.agrees:
            message = f"array {array.name!r} of node {label(array.node)!r} is held otherwise than the record says: "
            yield error(f"{message}sigma is {array.sigma:.4g} instead of {array.declared:.4g}", _FIX, **facts)
    yield note(f"{right} arrays are held in cells as the record says", arrays=right)


def _draw(runner: backends.Runner, array: NoisyArray, stages: Sequence[Stage]) -> _Draws:
    def run(x: Float64, trial: int, scale: float) -> Float64:
        feeds: dict[str, backends.Array] = {
            INPUT: x,
            TRIAL: np.array(trial, np.int64),
            SCALE: np.array(scale, np.float32),
        }
        return runner.run([OUTPUT], feeds)[0]

    x, real = neutral(array, stages, _ELEMENTS), stored(array, _ELEMENTS)
    noisy = {float(scale): run(x, trial, scale) for trial, scale in _TRIALS.items()}
    sigma = float(np.sqrt(np.mean(np.square(run(real, 3, 1.0) - real))))
    return _Draws(x, noisy, real, run(real, 1, 0.0), sigma)


_TRIALS = {1: 1.0, 2: 2.0}
"""Which trials are drawn, and at which scale."""


def _clean(draws: _Draws, where: str, facts: dict[str, Any]) -> Iterator[Finding]:
    """Compare at scale 0."""
    off = float(np.abs(draws.clean - draws.stored).max())
    if off != 0:  # NaN, too
        yield error(f"{where} is not the clean array at scale 0: it is off by {off:.3g}", _FIX, **facts, off=off)


def _exact(
    draws: _Draws, array: NoisyArray, stages: Sequence[Stage], where: str, facts: dict[str, Any]
) -> Iterator[Finding]:
    """Compare with the specified values, element by element."""
    for trial, scale in _TRIALS.items():
        have, want = draws.noisy[scale], specified(array, stages, draws.neutral, trial, scale)
        off = ~(np.abs(have - want.values) <= want.tolerance)
        if off.any():
            sigmas = [float(np.sqrt(np.mean(np.square(y - draws.neutral)))) for y in (have, want.values)]
            message = (
                f"{where} has other noise than specified at trial {trial} and scale {scale:g}: {int(off.sum())} of "
                f"{off.size} draws differ, sigma is {sigmas[0]:.4g} instead of {sigmas[1]:.4g}"
            )
            yield error(message, _FIX, **facts, trial=trial, scale=scale, measured=sigmas[0], specified=sigmas[1])


def _improbable(suspects: list[tuple[str, float]], alpha: float) -> Iterator[Finding]:
    for (where, _), p in zip(suspects, holm([p for _, p in suspects]), strict=True):
        if p < alpha:
            message = f"{where} has noise of another distribution than stated: p-value {p:.2g} below {alpha:g}"
            yield error(message, _FIX, p_value=p, alpha=alpha)


def _summary(subject: Subject, measured: Sequence[tuple[NoisyArray, float]]) -> Finding:
    """Sigma of each array beside the declared one, where that can be told."""
    try:
        reports = subject.declared.reports
    except ModelError:
        reports = {}
    table = []
    for array, sigma in measured:
        declared = reports[array.stream].sigma if array.stream in reports else None
        node = label(array.nodes[-1])
        table.append({"array": array.name, "node": node, "measured": sigma, "declared": declared})
    return note(f"sigma of {len(measured)} noisy arrays is measured", arrays=table)
