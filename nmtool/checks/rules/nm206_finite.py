"""Outputs are numbers.

The model is run on the samples of --data (up to 256; made-up ones without), with its noise if it has any, and no output
may be NaN or infinite. In models with half precision (largest value 65504) the values inside are looked at too: a
runtime that computes in single precision on a CPU hides an overflow that a device in the field has.

The node that is named is the first one that makes something infinite or NaN of numbers. In half precision that is
mostly a product or a sum of squares that is too large; else a logarithm, a root or a division at the edge of its range.

To fix: keep the named node in float32 (converters take lists of nodes to leave alone), scale what it computes, or bound
its input.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir

from nmtool.backends import Array
from nmtool.checks.bisection import Run
from nmtool.checks.engines import loader
from nmtool.checks.finding import Finding, brief, error, note, warning
from nmtool.checks.sampling import batches
from nmtool.checks.subject import Subject, Variant
from nmtool.difference import has_half, is_floating
from nmtool.errors import ModelError
from nmtool.passes.expose import inlined, observable, reads
from nmtool.passes.graphs import label

_SAMPLES = 256
_WIDTH = 32
"""Values inside that are outputs at a time."""
_CONSTANT = ("Constant", "ConstantOfShape")
_FIX = "keep the node in float32, scale what it computes, or bound its input"


def check(subject: Subject) -> Iterator[Finding]:
    """Look for what is not finite, in outputs and, of models in half precision, inside."""
    yield from _outputs(subject, "clean", subject.clean)
    if subject.noisy is not None:
        yield from _outputs(subject, "noisy", subject.noisy)


def _outputs(subject: Subject, variant: Variant, model: ir.Model) -> Iterator[Finding]:
    loaded, count = subject.on("onnxruntime", variant), 0
    for feeds, size in batches(subject, _SAMPLES):
        results = loaded.run(subject.outputs, feeds, trial=0, scale=1.0)
        for name, array in zip(subject.outputs, results, strict=True):
            if share := infinite_share(array):
                culprit, clause = _blame(_Inside(subject, model, feeds), name)
                message = f"output {name!r} of the {variant} model is not finite ({share:.2%} of it); {clause}"
                yield error(message, _FIX, node=culprit, output=name)
                return
        count += size
    if has_half(subject.proto) and (found := _Inside(subject, model, subject.feeds).first()):
        node, only_below = found
        kind = f"node {label(node)} ({node.op_type}) overflows half precision, though the outputs are finite here"
        if only_below:
            yield warning(f"{kind}: to -inf alone, as masks do", _FIX, node=label(node))
        else:
            yield error(kind, _FIX, node=label(node))
    else:
        yield note(f"outputs of the {variant} model are finite on {count} samples", samples=count)


def infinite_share(values: Array) -> float:
    """Share of the values that are NaN or infinite; 0 for what are not real numbers."""
    if not is_floating(values) or not values.size:
        return 0.0
    return float(np.mean(~np.isfinite(values if values.dtype.kind == "f" else values.astype(np.float32))))


class _Inside:
    """The values inside of a model, and which of them are not finite."""

    def __init__(self, subject: Subject, model: ir.Model, feeds: Mapping[str, Array]) -> None:
        graph = inlined(model.clone())
        self._values = Run(loader(subject, "onnxruntime"), model).values(feeds)
        self._names = [value.name or "" for value in observable(graph)]
        self._constants = graph.graph.initializers
        self._nodes = [node for node in graph.graph if node.op_type not in _CONSTANT]
        self.producers = {output.name or "": node for node in self._nodes for output in node.outputs}

    def bad(self) -> dict[str, bool]:
        """The values that are not finite, arrays of the model among them, and whether all of those are -inf."""
        found = {}
        for name, value in self._constants.items():
            tensor = value.const_value
            if tensor is not None and tensor.dtype.is_floating_point() and infinite_share(tensor.numpy()):
                found[name] = False
        for start in range(0, len(self._names), _WIDTH):
            for name, array in self._values(self._names[start : start + _WIDTH]).items():
                if infinite_share(array):
                    found[name] = not np.isnan(array).any() and not np.isposinf(array.astype(np.float32)).any()
        return found

    def first(self) -> tuple[ir.Node, bool] | None:
        """The first node that makes something infinite of what is finite, and whether that is -inf alone."""
        bad = self.bad()
        for node in self._nodes:
            wrong = [output.name for output in node.outputs if output.name in bad]
            if wrong and not reads(node) & bad.keys():
                return node, all(bad[name] for name in wrong if name)
        return None


def _blame(inside: _Inside, output: str) -> tuple[str | None, str]:
    try:
        bad = inside.bad()
    except ModelError as failure:
        return None, f"the node is unknown ({brief(failure.message)})"
    if output not in bad:
        return None, "all is finite while values inside are outputs: an optimization of the runtime is to blame"
    name = output
    while (node := inside.producers.get(name)) is not None:
        causes = sorted(reads(node) & bad.keys())
        if not causes:
            return label(node), f"the first node with such an output: {label(node)} ({node.op_type})"
        name = causes[0]
    return None, f"it comes from the stored array {name!r}"
