"""Every backend computes the same.

The model without noise is run on a few samples (of --data, or made-up ones) on every backend that is installed, and
each output is compared with that of the oracle: onnx's reference evaluator, which defines what operators do or, where
that is too slow or does not know an operator, ONNX Runtime without optimizations. A model whose noise is specified to
the bit is compared in the same way at one trial. Reported are the largest difference, absolute and relative to the
largest value, the cosine of the outputs as vectors, and how often the largest entry is the same one.

A relative difference up to 1e-4 is rounding (2e-2 for half precision and quantized models). When there is more, values
inside of the model are compared, to name the first node that differs while all that it reads agrees. Backends run with
their default options, as users run them. What a runtime loads is not always what it computes: kernels have bugs,
opsets change what an operator means, and optimizations are not always exact. The evaluator errs too: when runtimes of
two makers agree with each other against it, that is a warning.

To fix: write the named node with other operators, update the runtime, or keep to the runtimes that agree. Integer
outputs (labels) may differ by ties.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from nmtool import provenance
from nmtool.backends import Array
from nmtool.checks.bisection import Run, first_node
from nmtool.checks.comparison import Comparison, compare, disagreeing, worst
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


@dataclass(frozen=True)
class _Result:
    """What a backend computed.

    Attributes:
        backend: its name.
        title: of the backend and the variant, for messages.
        outputs: for the subject's feeds.
        compared: with the oracle.
        wrong: those of them that differ, the worst first.
    """

    backend: str
    title: str
    outputs: list[Array]
    compared: list[Comparison]
    wrong: list[Comparison]


def _variant(subject: Subject, variant: Literal["clean", "noisy"], model: ir.Model) -> Iterator[Finding]:
    right, tolerance = oracle(subject, variant), allowed_difference(subject.proto)
    expected = [right.expected[output] for output in subject.outputs]
    results = []
    for name in present(subject):
        if name == "reference":
            if right.reason:
                yield not_checked(f"reference: {right.reason}", backend=name)
            continue
        try:
            loaded = subject.on(name, variant)
            outputs = loaded.run(subject.outputs, subject.feeds, trial=0, scale=1.0)
        except (ModelError, SetupError) as failure:
            reason = brief(failure.message)
            yield not_checked(f"{name} does not run the {variant} model: {reason}", failure.hint or "", backend=name)
            continue
        title = f"{loaded.runner.description}, {variant} model" if subject.noisy else loaded.runner.description
        compared = compare(subject.outputs, outputs, expected)
        results.append(_Result(name, title, outputs, compared, disagreeing(compared, tolerance)))
    outvoted = not right.reason and _is_outvoted(results, subject.outputs, tolerance)
    for result in results[:1] if outvoted else results:
        yield from _findings(subject, model, right, result, [each.title for each in results] if outvoted else [])


def _is_outvoted(results: Sequence[_Result], names: Sequence[str], tolerance: float) -> bool:
    """Whether all runtimes, of two makers at least, differ from the oracle and agree with each other."""
    makers = {result.backend.split("-")[0] for result in results}
    if len(makers) < 2 or not all(result.wrong for result in results):
        return False
    first = results[0].outputs
    return not any(disagreeing(compare(names, result.outputs, first), tolerance) for result in results)


def _findings(
    subject: Subject, model: ir.Model, right: Oracle, result: _Result, majority: Sequence[str]
) -> Iterator[Finding]:
    """What a result is worth; a majority agrees with it against the oracle."""
    wrong = result.wrong
    facts = {"backend": result.backend, "oracle": right.name, "outputs": [each.facts() for each in result.compared]}
    if wrong:
        runs = Run(loader(subject, result.backend), model), Run(right.load, model)
        names = [each.output for each in wrong]
        clause, node = first_node(*runs, subject.feeds, names, allowed_difference(subject.proto))
        if majority:
            message = (
                f"{', '.join(majority)} agree with each other, and differ from {right.name} in {wrong[0]}; {clause}"
            )
            yield warning(message, "look at the node: the evaluator may be wrong about it", node=node, **facts)
        else:
            yield error(f"{result.title}: differs from {right.name} in {wrong[0]}; {clause}", _FIX, node=node, **facts)
        return
    yield note(f"{result.title}: agrees with {right.name} in {worst(result.compared)}", **facts)
    for each in result.compared:
        if not each.real and each.relative > 0 and any(other.real for other in result.compared):
            message = f"{result.title}: {each} from {right.name}, while real outputs agree"
            yield warning(message, "look for ties, or use the real outputs", **facts)
