"""A baked noise sample is the same on every backend.

One noise sample is frozen into the weights, as `nmtool bake` does. The result is a plain model of standard operators,
so every backend has to compute what the oracle does (onnx's reference evaluator, or ONNX Runtime without optimizations
where that is too slow), with the tolerance of the model without noise: 1e-4 of the largest value, 2e-2 for half
precision and quantized models. Where the noise is specified to the bit, ONNX Runtime must also compute it from the
noisy model at that trial, with the operator library and with the standard operators.

A backend that agrees on the clean model and not here treats values as special that the noise took away (zeros that it
skipped, weights that it packed), or is ill-conditioned under noise. Where the noisy model differs from its baked
sample, one of the two draws other noise than specified: NM303 says which.

To fix: update the runtime; for noisy models see NM303.
"""

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from nmtool.backends import Array
from nmtool.checks.comparison import compare, disagreeing, worst
from nmtool.checks.declared import noise_of, rounds_activations
from nmtool.checks.engines import Oracle, absent, loader, oracle, present, reproducible
from nmtool.checks.finding import NO_NOISE, Finding, brief, error, not_checked, note
from nmtool.checks.subject import Subject
from nmtool.difference import allowed_difference
from nmtool.errors import ModelError, SetupError
from nmtool.verbs.bake import bake

_TRIAL = 1
_STEPS = "but converters round: one bit of difference may move a step, and all that follows from it"
_MORE_BITS = (
    "compare with converters of 20 bits (--set periphery.output.bits=20), whose steps are as small as roundings"
)
_FIX = "update the runtime; `nmtool explain NM304` has more"
_FIX_NOISE = "inject the noise again, into the source model; NM303 says what differs"


def check(subject: Subject) -> Iterator[Finding]:
    """Compare a baked sample with the oracle, and with the noisy model."""
    if subject.noisy is None:
        yield NO_NOISE
        return
    steps = rounds_activations(noise_of(subject.made_noisy[1]))
    baked = bake(subject.noisy, trial=_TRIAL)
    right = oracle(subject, "clean")
    expected = right.load(baked).run(subject.outputs, subject.feeds, trial=0, scale=1.0)
    for name in present(subject):
        if name != "reference" or right.reason:
            yield _backend(subject, name, baked, right, expected, steps)
    yield from absent(subject)
    for library, side in ((True, "the operator library"), (False, "standard operators")):
        runner = loader(subject, "onnxruntime", library=library)(subject.noisy)
        if runner.runner.library == library and reproducible(runner):
            have = runner.run(subject.outputs, subject.feeds, trial=_TRIAL, scale=1.0)
            compared = compare(subject.outputs, have, expected)
            what = f"the noisy model at trial {_TRIAL} on {side}"
            if (wrong := disagreeing(compared, allowed_difference(subject.proto))) and steps:
                yield not_checked(f"{what} differs from its baked sample, {_STEPS}: {wrong[0]}", _MORE_BITS)
            elif wrong:
                yield error(f"{what} is not its baked sample: {wrong[0]}", _FIX_NOISE, **wrong[0].facts())
            else:
                yield note(f"{what} is its baked sample: {worst(compared)}", **worst(compared).facts())


def _backend(
    subject: Subject, name: str, baked: ir.Model, right: Oracle, expected: Sequence[Array], steps: bool
) -> Finding:
    """Compare one backend with the oracle."""
    tolerance = allowed_difference(subject.proto)
    try:
        clean = subject.on(name, "clean").run(subject.outputs, subject.feeds, trial=0, scale=1.0)
        have = loader(subject, name)(baked).run(subject.outputs, subject.feeds, trial=0, scale=1.0)
    except (ModelError, SetupError) as failure:
        return not_checked(f"{name}: {brief(failure.message)}", failure.hint or "", backend=name)
    before = compare(subject.outputs, clean, [right.expected[output] for output in subject.outputs])
    if disagreeing(before, tolerance):
        return not_checked(f"{name} differs from {right.name} without noise already", "see NM205 first", backend=name)
    compared = compare(subject.outputs, have, expected)
    facts = {"backend": name, "oracle": right.name, "clean": worst(before).facts(), "baked": worst(compared).facts()}
    wrong = disagreeing(compared, tolerance)
    if wrong and steps:
        message = f"{name} differs from {right.name} on the baked sample, {_STEPS}: {wrong[0]}"
        return not_checked(message, _MORE_BITS, backend=name)
    if wrong:
        message = f"{name} differs from {right.name} on the baked sample of trial {_TRIAL} in {wrong[0]}"
        return error(message, _FIX, **facts)
    relative = f"{worst(compared).relative:.2g}, without noise {worst(before).relative:.2g}"
    return note(f"{name}: agrees with {right.name} on a baked sample, relative difference {relative}", **facts)
