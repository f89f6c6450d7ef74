"""Every array has the declared seed, a stream of its own, and the model's trial and scale.

The noise is a pure function of (seed, stream, draw, trial, element), see docs/noise-spec.md. This rule checks the first
three in every noisy node, and where the trial comes from:

- the seed is that of the record (metadata `nmtool.provenance`);
- the stream is the hash of the name of the physical array, so two nodes share a stream if and only if they share the
  array, and the noise of an array does not depend on the rest of the model;
- several draws on an array are numbered 0, 1, … in their order;
- the trial and the scale are the model's inputs (or, for noise that is fresh at every run, its random operators), and
  every function on the way passes them on.

Two arrays with one stream have the same random numbers: their errors add up or cancel, which no two devices do. A node
with a seed of its own cannot be reproduced from the record, and one with a fixed trial or scale is not under the
control of whoever measures the model.

To fix: inject the noise again with `nmtool inject`. Where a graph optimizer turned the inputs into constants, optimize
the source model first and inject afterwards.
"""

from collections.abc import Iterator

import onnx_ir as ir

from nmtool.checks.declared import Declared, calls, place
from nmtool.checks.finding import NO_NOISE, Finding, error, note
from nmtool.checks.subject import Subject
from nmtool.noise.base import PARAMETER_NAMES
from nmtool.ops import DOMAIN
from nmtool.passes.constants import ConstantFinder
from nmtool.passes.graphs import label, sites
from nmtool.passes.inject_noise import opset_of
from nmtool.passes.noisy_nodes import is_primitive
from nmtool.provenance import Provenance

_FIX = "inject the noise again, into the source model"


def check(subject: Subject) -> Iterator[Finding]:
    """Compare with the declared noise, node by node."""
    if subject.noisy is None:
        yield NO_NOISE
        return
    noisy, record = subject.made_noisy
    declared = subject.declared
    have, want = calls(noisy), calls(declared.model)
    streams: dict[int, str] = {}  # first array of each
    for where in [where for where in want if where in have]:  # NM301 reports the others
        node, model = have[where].node, want[where].node
        yield from _numbers(noisy, node, declared.model, model, declared.name(model), streams)
    yield from _wiring(noisy, declared, record)
    yield from _sources(noisy, record)
    yield note(f"{len(streams)} streams of seed {record.seed} in {len(have)} noisy nodes")


def _numbers(
    noisy: ir.Model, node: ir.Node, model: ir.Model, expected: ir.Node, array: str, streams: dict[int, str]
) -> Iterator[Finding]:
    """Seed, stream and draws of a node."""
    facts = {"node": label(node), "array": array}
    for name in ("seed", "stream"):
        stored, right = (each.attributes.get_int(name, 0) for each in (node, expected))
        if stored != right:
            message = f"{name} of array {array!r} in node {label(node)!r} is {stored}, not {right}"
            yield error(message, _FIX, **facts, stored=stored, declared=right)
    stream = node.attributes.get_int("stream", 0)
    if streams.setdefault(stream, array) != array:
        yield error(f"arrays {streams[stream]!r} and {array!r} share stream {stream}: equal noise", _FIX, **facts)
    numbers, right_numbers = _draws(noisy, node), _draws(model, expected)
    if numbers != right_numbers:
        message = f"draws of array {array!r} in node {label(node)!r} are numbered {numbers}, not {right_numbers}"
        yield error(message, _FIX, **facts, stored=numbers, declared=right_numbers)
    if not _forwards(noisy, node):
        yield error(f"function {node.op_type!r} has a seed or a stream of its own", _FIX, **facts)


def _primitives(model: ir.Model, node: ir.Node) -> list[ir.Node]:
    """The primitives that a node of domain nmtool stands for."""
    if is_primitive(node):
        return [node]
    function = model.functions.get((DOMAIN, node.op_type, ""))
    return [] if function is None else [each for each in function if each.op_type in PARAMETER_NAMES]


def _draws(model: ir.Model, node: ir.Node) -> list[int]:
    return [each.attributes.get_int("draw", 0) for each in _primitives(model, node)]


def _forwards(model: ir.Model, node: ir.Node) -> bool:
    """Whether the primitives of a composite take the seed and the stream of its call."""
    names = ("seed", "stream")
    return is_primitive(node) or all(
        name in each.attributes and each.attributes[name].ref_attr_name == name
        for each in _primitives(model, node)
        for name in names
    )


def _wiring(noisy: ir.Model, declared: Declared, record: Provenance) -> Iterator[Finding]:
    """The nodes that take the trial and the scale, by the names of these."""
    present = {place(site): site.node for site in sites(noisy)}
    for site in sites(declared.model):
        if site.function is not None and site.function.domain == DOMAIN:
            continue
        node = present.get(place(site))
        for index, value in enumerate(site.node.inputs):
            if node is None or value is None or value.name not in record.inputs.values():
                continue
            given = node.inputs[index] if index < len(node.inputs) else None
            if given is None or given.name != value.name:
                takes = "nothing" if given is None else repr(given.name)
                message = f"node {label(node)!r} takes {takes} where the noise input {value.name!r} belongs"
                yield error(message, _FIX, node=label(node), input=value.name)


def _sources(noisy: ir.Model, record: Provenance) -> Iterator[Finding]:
    """Where the trial and the scale come from."""
    finder = ConstantFinder(noisy, opset_of(noisy))
    inputs = {value.name for value in noisy.graph.inputs}
    for kind, name in record.inputs.items():
        drawn = kind == record.drawn_inside
        values = [value for node in noisy.graph for value in node.outputs if value.name == name]
        if not (values and not finder.is_constant(values[0])) if drawn else name not in inputs:
            belongs = "drawn at random" if drawn else "an input of the model"
            yield error(f"{name!r} is not {belongs}: its value is fixed", _FIX, input=name)
