"""Put noise on the weights of a model: the pass behind `nmtool inject`."""


import onnx_ir as ir

from nmtool.errors import ModelError, UsageError
from nmtool.noise.base import NoiseModel, WeightStatistics
from nmtool.ops.analog import ANALOG_OPS
from nmtool.passes.constants import ConstantArray
from nmtool.passes.coverage import Candidate, Coverage, op_label
from nmtool.passes.graphs import label
from nmtool.passes.macs import Shapes, count_dynamic_macs, count_macs, infer_shapes
from nmtool.passes.noise_rewriter import NoiseRewriter
from nmtool.passes.report import CoverageReport, NodeReport
from nmtool.passes.selection import Selection
from nmtool.passes.statistics import statistics

MINIMUM_OPSET = 7
"""The first opset with numpy-style broadcasting, which the bodies of the primitives use."""


class InjectNoise(ir.passes.InPlacePass):
    """Make the weights of matrix products noisy.

    1. MatMul, Gemm, Conv and ConvTranspose with constant weights become composites (NoisyConv, …) of the same name.
    2. Other consumers of constant weights that map to arrays (LSTM, GRU, RNN, fused contrib operators, calls of functions
       that get weights as arguments), and weights behind a layout operator, get a primitive (GaussianNoise, …) in front.
    3. MatMul of two activations stays digital unless `dynamic`.
    4. Names of nodes and values are kept; nodes in subgraphs and model-local functions are treated alike.
    5. A noisy node is left alone, so a second application changes nothing.

    Attributes:
        report: what became of every node; filled by a call.
        trial_input: name of the value that selects the noise sample; None before a call that changed the model.
        scale_input: name of the value that multiplies the noise.
    """

    def __init__(
        self,
        noise: NoiseModel,
        *,
        seed: int = 0,
        selection: Selection | None = None,
        per_channel: bool = False,
        dynamic: bool = False,
        fresh: bool = False,
    ) -> None:
        """Prepare the pass.

        Args:
            noise: the noise model.
            seed: 64-bit seed of the whole model.
            selection: which of the analog nodes; all by default.
            per_channel: size the noise by each output channel instead of the whole array.
            dynamic: also make the right operand of products of activations noisy.
            fresh: draw the trial inside the model at every run.
        """
        self.noise = noise
        self.seed = seed
        self.selection = selection or Selection()
        self.per_channel = per_channel
        self.dynamic = dynamic
        self.fresh = fresh
        self.report = CoverageReport()
        self.trial_input: str | None = None
        self.scale_input: str | None = None

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite the model and fill `report`."""
        opset = opset_of(model)
        coverage = Coverage(model, self.noise, self.dynamic, opset)
        findings = list(coverage.findings())
        candidates = [finding for finding in findings if isinstance(finding, Candidate)]
        skipped = self._skipped(candidates)
        shapes = infer_shapes(model)
        self.report = CoverageReport()
        chosen: list[tuple[Candidate, WeightStatistics | None]] = []
        for finding in findings:
            if isinstance(finding, NodeReport):
                self.report.nodes.append(finding)
                continue
            entry, weights = self._size(finding, skipped.get(finding.site.node), shapes)
            self.report.nodes.append(entry)
            if entry.status == "noisy":
                chosen.append((finding, weights))
        roots = {finding.array.root for finding in candidates if finding.array}
        self.report.other_weights, self.report.other_ops = coverage.other_weights(roots)
        if chosen:
            rewriter = NoiseRewriter(model, self.noise, self.seed, opset, self.fresh)
            for candidate, weights in chosen:
                rewriter.rewrite(candidate, weights)
            rewriter.finish()
            self.trial_input, self.scale_input = rewriter.inputs.trial_name, rewriter.inputs.scale_name
        return ir.passes.PassResult(model, bool(chosen))

    def _skipped(self, candidates: list[Candidate]) -> dict[ir.Node, str]:
        """The selection's reason for each node that it keeps digital."""
        nodes = list(dict.fromkeys(candidate.site.node for candidate in candidates))
        for pattern in self.selection.unmatched([label(n) for n in nodes], [n.op_type for n in nodes]):
            known = ", ".join(label(n) for n in nodes[:5])
            raise UsageError(f"no analog node matches: {pattern}", hint=f"the analog nodes begin with: {known}")
        reasons = {
            node: self.selection.reason_to_skip(label(node), node.op_type, position, len(nodes))
            for position, node in enumerate(nodes)
        }
        return {node: reason for node, reason in reasons.items() if reason}

    def _size(
        self, candidate: Candidate, skip: str | None, shapes: Shapes
    ) -> tuple[NodeReport, WeightStatistics | None]:
        """The report of a candidate, and the statistics that size its noise (None at run time)."""
        node, array = candidate.site.node, candidate.array
        entry = NodeReport(label(node), op_label(node), "digital" if skip else "noisy", skip or "")
        if array is None:
            entry.macs = count_dynamic_macs(node, shapes)
            if not skip:
                entry.reason = "activations; the noise is sized at run time"
            return entry, None
        entry.array = array.root.name or ""
        entry.shape = tuple(int(d) for d in array.tensor.shape)
        entry.weights = array.tensor.size
        entry.macs = count_macs(node, candidate.operand, array.tensor.size, shapes)
        if skip:
            return entry, None
        whole = statistics(array.tensor, entry.array)
        weights = self._channels(candidate, array, entry) or whole
        sigma = self.noise.sigma(weights)
        entry.sigma = sigma
        if sigma == 0 and self.noise.eta > 0:
            entry.status, entry.reason = "digital", "its noise would be zero: the weights are all equal"
        elif sigma is not None:
            entry.sigma_range, entry.sigma_max, entry.sigma_std = (
                float(sigma / whole.unit(unit)) if whole.unit(unit) > 0 else None for unit in ("range", "max", "std")
            )
        return entry, weights

    def _channels(self, candidate: Candidate, array: ConstantArray, entry: NodeReport) -> WeightStatistics | None:
        """Statistics per output channel, or None where the whole array is the unit."""
        if not self.per_channel or len(array.tensor.shape) < 2:
            return None
        node = candidate.site.node
        op = ANALOG_OPS.get((node.domain, node.op_type))
        operand = node.inputs[candidate.operand]
        rank = len(operand.shape) if operand is not None and operand.shape is not None else None
        axis = array.channel_axis(op.channel_axis(node, candidate.operand) if op else None, rank)
        if axis is None:
            entry.reason = "per array: its output channels are not an axis of the array"
            return None
        groups = node.attributes.get_int("group", 1) if node.op_type == "ConvTranspose" else 1
        return statistics(array.tensor, entry.array, axis, groups)


def opset_of(model: ir.Model) -> int:
    """Opset of ai.onnx.

    Raises:
        ModelError: it is below MINIMUM_OPSET, or the model imports none.
    """
    imports = [model.opset_imports, *(function.opset_imports for function in model.functions.values())]
    versions = [opsets[domain] for opsets in imports for domain in ("", "ai.onnx") if domain in opsets]
    if not versions:
        raise ModelError("the model imports no opset of ai.onnx, so it has no operator that maps to analog arrays")
    if versions[0] < MINIMUM_OPSET:
        raise ModelError(
            f"the model's opset is {versions[0]}, below {MINIMUM_OPSET}", hint="lift it with --opset 18"
        )
    return versions[0]
