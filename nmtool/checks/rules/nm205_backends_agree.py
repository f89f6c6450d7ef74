"""Every backend computes the same.

The model without noise is run on a few samples (of --data, or made-up ones) on every backend that is installed, and
each output is compared with that of the oracle: onnx's reference evaluator, which defines what operators do or, where
that is too slow or does not know an operator, ONNX Runtime without optimizations. A model whose noise is specified to
the bit is compared in the same way at one trial. Reported are the largest difference, absolute and relative to the
largest value, the cosine of the outputs as vectors, and how often the largest entry is the same one.

A relative difference up to 1e-4 is rounding (2e-2 for half precision and quantized models). When there is more, values
inside of the model are compared, to name the first node that differs while all that it reads agrees. Backends run with
their default options, as users run them. What a runtime loads is not always what it computes: kernels have bugs,
opsets change what an operator means, and optimizations are not always exact.

To fix: write the named node with other operators, update the runtime, or keep to the runtimes that agree. Integer
outputs (labels) may differ by ties.
"""

from collections.abc import Iterator
from typing import Literal

import onnx_ir as ir

from nmtool import provenance
from nmtool.checks.bisection import Run, first_node
from nmtool.checks.comparison import compare, disagreeing, worst
from nmtool.checks.engines import Oracle, absent, loader, oracle, present
from nmtool.checks.finding import Finding, brief, error, not_checked, note, warning
from nmtool.checks.subject import Subject
from nmtool.difference import allowed_difference
from nmtool.errors import ModelError, SetupError

_FIX = "update the runtime, or write this part of the model with other operators; `nmtool explain NM205` has more"
_EXACT = "inject with --opset 18, and without --fresh"


def check(subject: Subject) -> Iterator[Finding]:
    """Compare all backends with the oracle."""
    yield from absent(subject)
    yield from _variant(subject, "clean", subject.clean)
    if subject.noisy is None:
        return
    record = provenance.read(subject.noisy)
    if record is not None and record.exact and not record.fresh:
        yield from _variant(subject, "noisy", subject.noisy)
    else:
        yield not_checked("noise whose values are each runtime's own can be compared in distribution only", _EXACT)


def _variant(subject: Subject, variant: Literal["clean", "noisy"], model: ir.Model) -> Iterator[Finding]:
    right = oracle(subject, variant)
    for name in present(subject):
        if name != "reference":
            yield from _backend(subject, name, variant, model, right)
        elif right.reason:
            yield not_checked(f"reference: {right.reason}", backend=name)


def _backend(
    subject: Subject, name: str, variant: Literal["clean", "noisy"], model: ir.Model, right: Oracle
) -> Iterator[Finding]:
    try:
        loaded = subject.on(name, variant)
        have = loaded.run(subject.outputs, subject.feeds, trial=0, scale=1.0)
    except (ModelError, SetupError) as failure:
        reason = brief(failure.message)
        yield not_checked(f"{name} does not run the {variant} model: {reason}", failure.hint or "", backend=name)
        return
    compared = compare(subject.outputs, have, [right.expected[output] for output in subject.outputs])
    tolerance = allowed_difference(subject.proto)
    what = f"{loaded.runner.description}, {variant} model" if subject.noisy else loaded.runner.description
    facts = {"backend": name, "oracle": right.name, "outputs": [each.facts() for each in compared]}
    if wrong := disagreeing(compared, tolerance):
        runs = Run(loader(subject, name), model), Run(right.load, model)
        clause, node = first_node(*runs, subject.feeds, [each.output for each in wrong], tolerance)
        yield error(f"{what}: differs from {right.name} in {wrong[0]}; {clause}", _FIX, node=node, **facts)
        return
    yield note(f"{what}: agrees with {right.name} in {worst(compared)}", **facts)
    for each in compared:
        if not each.real and each.relative > 0 and any(other.real for other in compared):
            message = f"{what}: {each} from {right.name}, while real outputs agree"
            yield warning(message, "look for ties, or use the real outputs", **facts)
