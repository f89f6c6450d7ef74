"""The first node at which two runs of a model part, found by bisection over the values inside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import onnx_ir as ir

from nmtool.backends import Array
from nmtool.difference import difference
from nmtool.passes.expose import observable, reads
from nmtool.passes.graphs import label

Values: TypeAlias = Callable[[Sequence[str]], Mapping[str, Array]]
"""Runs a model with the named inner values as outputs, and returns these."""

_WIDTH = 8
"""Values that are outputs at a time: more would find the node in fewer runs, and need more memory."""


@dataclass(frozen=True)
class Divergence:
    """A node whose output differs while all that it reads agrees.

    Attributes:
        node: its label.
        op_type: its operator.
        value: the output.
        difference: of the output, see `nmtool.difference.difference`.
        fused: whether it agrees when what the node reads are outputs too, which holds optimizations back.
    """

    node: str
    op_type: str
    value: str
    difference: float
    fused: bool

    def __str__(self) -> str:
        found = f"{self.node} ({self.op_type}, by {self.difference:.2g})"
        return f"{found}, only when it is optimized together with what it reads" if self.fused else found


def first_divergence(
    model: ir.Model, outputs: Sequence[str], have: Values, want: Values, tolerance: float
) -> Divergence | None:
    """Find where a difference begins.

    A node in the middle of what the diverging output is computed from differs, or it does not: half of the nodes are
    left (here: a ninth, at eight values a run). What is found need not be the first one, since the graph may branch.
    But when all that it reads agrees it is to blame; else the search goes on in what it reads.

    Nodes inside of If, Loop and Scan are not looked into: the node as a whole is what differs.

    Args:
        model: the graph that both run, its functions inlined (see `nmtool.passes.expose.inlined`).
        outputs: outputs that differ, the first to be tried first.
        have: the run in doubt.
        want: the run that is right.
        tolerance: the difference that is allowed.

    Returns:
        None where no output differs.

    Raises:
        ModelError: a runtime does not run the model with values inside as outputs.
    """
    search = _Search(model, have, want, tolerance)
    wrong = next(filter(search.is_wrong, outputs), None)
    return None if wrong is None else search.begin(wrong)


class _Search:
    def __init__(self, model: ir.Model, have: Values, want: Values, tolerance: float) -> None:
        self._have, self._want, self._tolerance = have, want, tolerance
        self._order = {value.name or "": position for position, value in enumerate(observable(model))}
        self._producers = {output.name or "": node for node in model.graph for output in node.outputs}
        self._differences: dict[str, float] = {}

    def is_wrong(self, name: str) -> bool:
        """Whether the value, if it is one that a node computes, differs."""
        return name in self._order and self._first_wrong([name]) == 0

    def begin(self, wrong: str) -> Divergence:
        """The node where the difference of a value begins."""
        while True:
            found = self._bisect(wrong)
            node = self._producers[found]
            inputs = self._known(self._read_by(node))
            position = self._first_wrong(inputs)
            if position is None:
                fused = self._measure([found, *inputs])[found] <= self._tolerance
                return Divergence(label(node), node.op_type, found, self._differences[found], fused)
            wrong = inputs[position]

    def _bisect(self, wrong: str) -> str:
        """A value that differs, the last one before which, of those that `wrong` is computed from, does not."""
        values = [*self._ancestors(wrong), wrong]
        agrees, differs = -1, len(values) - 1
        while differs - agrees > 1:
            between = range(agrees + 1, differs)
            picks = sorted({between[len(between) * k // (_WIDTH + 1)] for k in range(1, _WIDTH + 1)})
            position = self._first_wrong([values[pick] for pick in picks])
            if position is None:
                agrees = picks[-1]
            else:
                differs, agrees = picks[position], picks[position - 1] if position else agrees
        return values[differs]

    def _read_by(self, node: ir.Node) -> set[str]:
        """What a node reads; instead of a value that is no tensor, what the node that makes it reads."""
        found = set()
        for name in reads(node):
            made_by = self._producers.get(name)
            found |= {name} if name in self._order or made_by is None else self._read_by(made_by)
        return found

    def _ancestors(self, name: str) -> list[str]:
        """The values that a value is computed from, in the order of the graph."""
        found: set[str] = set()
        pending = [name]
        while pending:
            node = self._producers.get(pending.pop())
            new = set() if node is None else reads(node) - found
            found |= new
            pending.extend(new)
        return self._known(found)

    def _known(self, names: set[str]) -> list[str]:
        return sorted(names & self._order.keys(), key=lambda name: self._order[name])

    def _first_wrong(self, names: Sequence[str]) -> int | None:
        """Position of the first value that differs."""
        new = [name for name in names if name not in self._differences]
        for start in range(0, len(new), _WIDTH):
            self._differences |= self._measure(new[start : start + _WIDTH])
        wrong = (k for k, name in enumerate(names) if self._differences[name] > self._tolerance)
        return next(wrong, None)

    def _measure(self, names: Sequence[str]) -> dict[str, float]:
        have, want = self._have(names), self._want(names)
        return {name: difference(have[name], want[name]) for name in names}
