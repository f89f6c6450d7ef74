"""The coverage report: what was made noisy, what stayed digital, and why."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass
class NodeReport:
    """One node and one of its arrays.

    Attributes:
        name: the node's name (its first output's where it has none).
        op_type: the stock operator, or "function domain::name" for a call.
        status: "noisy" or "digital".
        reason: why it is digital; for noisy nodes, anything worth knowing, or "".
        array: name of the physical array, unique in the model (docs/noise-spec.md, "stream"); "" when there is none.
        shape: shape of the array as stored.
        weights: number of weights of the array.
        macs: multiply-accumulates per sample, None where shapes are not known.
        sigma: root-mean-square perturbation of a weight at scale 1, in weight units; None where taken at run time.
        sigma_range: sigma / (max W - min W).
        sigma_max: sigma / max |W|.
        sigma_std: sigma / standard deviation of W.
    """

    name: str
    op_type: str
    status: Literal["noisy", "digital"]
    reason: str = ""
    array: str = ""
    shape: tuple[int, ...] = ()
    weights: int = 0
    macs: int | None = None
    sigma: float | None = None
    sigma_range: float | None = None
    sigma_max: float | None = None
    sigma_std: float | None = None


@dataclass
class CoverageReport:
    """All analog candidates of a model.

    Attributes:
        nodes: one entry per node and array, in graph order.
        other_weights: weights of arrays outside `nodes` (biases, normalisation, tables), all digital.
        other_ops: those arrays' operators and how many nodes of each.
        notes: statements about the whole model that a user must know.
    """

    nodes: list[NodeReport] = field(default_factory=list)
    other_weights: int = 0
    other_ops: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def weight_share(self) -> float:
        """Share of all weights that is analog, 0 to 1; an array used twice counts once.

        All weights are those of the arrays, whatever their type, and the floating-point ones outside.
        """
        sizes = {node.array: node.weights for node in self.nodes if node.array}
        noisy = {node.array for node in self.nodes if node.array and node.status == "noisy"}
        total = sum(sizes.values()) + self.other_weights
        return sum(sizes[array] for array in noisy) / total if total else 0.0

    @property
    def mac_share(self) -> float | None:
        """Share of the multiply-accumulates that is analog, or None where any node's count is not known."""
        counts = [(node.macs, node.status) for node in self.nodes if node.macs != 0]
        if not counts or any(macs is None for macs, _ in counts):
            return None
        noisy = sum(macs or 0 for macs, status in counts if status == "noisy")
        return noisy / sum(macs or 0 for macs, _ in counts)

    @property
    def why_nothing(self) -> str:
        """The reasons, where no node is noisy."""
        reasons = sorted({f"{node.op_type}: {node.reason}" for node in self.nodes})
        return "; ".join(reasons) or "the model has no operator that maps to analog arrays"

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON-serialisable dict."""
        return {
            "nodes": [asdict(node) for node in self.nodes],
            "weight_share": self.weight_share,
            "mac_share": self.mac_share,
            "other_weights": self.other_weights,
            "other_ops": self.other_ops,
            "notes": self.notes,
        }
