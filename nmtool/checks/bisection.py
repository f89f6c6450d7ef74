"""Where a difference between two runs begins, put into words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from nmtool.backends import Array
from nmtool.bisection import Values, first_divergence
from nmtool.checks.engines import Loader
from nmtool.checks.finding import brief
from nmtool.errors import NmtoolError
from nmtool.passes.expose import exposed, inlined


@dataclass(frozen=True)
class Run:
    """How a model is run.

    Attributes:
        load: loads it.
        model: the model.
        trial: which noise sample.
        scale: of the noise.
    """

    load: Loader
    model: ir.Model
    trial: int = 0
    scale: float = 1.0

    def values(self, feeds: Mapping[str, Array]) -> Values:
        """The values inside, for some feeds."""
        model = inlined(self.model.clone())

        def run(names: Sequence[str]) -> Mapping[str, Array]:
            loaded = self.load(exposed(model, names))
            return dict(zip(names, loaded.run(names, feeds, self.trial, self.scale), strict=True))

        return run


def first_node(
    have: Run, want: Run, feeds: Mapping[str, Array], outputs: Sequence[str], tolerance: float
) -> tuple[str, str | None]:
    """The first node that differs.

    Args:
        have: the run in doubt.
        want: the run that is right; its model is searched.
        feeds: for both.
        outputs: those that differ, the worst first.
        tolerance: the difference that is allowed.

    Returns:
        A clause for a message, and the node's label; None where it is not known.
    """
    graph = inlined(want.model.clone())
    try:
        found = first_divergence(graph, outputs, have.values(feeds), want.values(feeds), tolerance)
    except NmtoolError as error:
        return f"the first node that differs is unknown ({brief(error.message)})", None
    if found is None:
        return "run once more, nothing differs", None
    return f"the first node that differs: {found}", found.node
