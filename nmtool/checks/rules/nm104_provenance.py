"""What the model records about itself is true.

A noisy model names its noise, its seed and its inputs, and holds noisy nodes; a model without that record holds none.
What it names as its source is the original that it is checked against, and so is what a training record names.

To fix: inject the source model again. Do not copy metadata from one model to another.
"""

from collections.abc import Iterator

from nmtool import provenance
from nmtool.checks.finding import Finding, error, note, warning
from nmtool.checks.rules.nm004_domains import nodes
from nmtool.checks.subject import Subject
from nmtool.errors import NmtoolError
from nmtool.hardware.profile import recorded
from nmtool.model import digest
from nmtool.ops import DOMAIN

_FIX = "inject the source model again"


def check(subject: Subject) -> Iterator[Finding]:
    """Compare the records with the model."""
    record = subject.record
    noisy = any(node.domain == DOMAIN for node in subject.proto.graph.node) or any(
        node.domain == DOMAIN for node in nodes(subject.proto)
    )
    if record is None and noisy:
        yield error("the model has noisy nodes, but no record of its noise", _FIX)
    if record is not None:
        yield from _injection(subject, record, noisy)
    yield from _training(subject)


def _injection(subject: Subject, record: provenance.Provenance, noisy: bool) -> Iterator[Finding]:
    if not noisy:
        yield error("the model records noise, but has no noisy node", _FIX)
    try:
        recorded({name: value for name, value in record.noise.items() if name not in _PLACEMENT})
    except (NmtoolError, KeyError) as failure:
        yield error(f"the recorded noise is not one that nmtool knows: {record.noise} ({failure})", _FIX)
    inputs = {value.name for value in subject.proto.graph.input}
    for kind, name in record.inputs.items():
        if kind == record.drawn_inside:
            continue
        if name not in inputs:
            yield error(f"the recorded input {name!r} is not one of the graph's", _FIX)
    against = subject.request.against
    if against is not None and digest(against) != record.source_sha256:
        yield _other("the noise was put on", "NM103 compares the values")
    yield note(f"noise {record.noise}, seed {record.seed}, drawn per {record.drawn}, by nmtool {record.version}")


def _training(subject: Subject) -> Iterator[Finding]:
    record = provenance.read_weights(subject.model)
    if record is None:
        return
    yield note(f"weights by `nmtool {record.get('verb')}`", record=record)
    sources = {record.get("source_sha256"), record.get("settings", {}).get("student_sha256")} - {None}
    against = subject.request.against
    if against is not None and sources and digest(against) not in sources:
        yield _other("the weights were trained from", "the original of the training is another file")


def _other(what: str, hint: str) -> Finding:
    return warning(f"{what} another file than the original that was given", f"give that one with --against; {hint}")


_PLACEMENT = ("per_channel", "dynamic")
