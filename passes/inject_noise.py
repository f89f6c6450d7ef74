"""Put noise on the weights of a model: the pass behind `nmtool inject`."""

import onnx_ir as ir

from nmtool import provenance
from nmtool.errors import ModelError, UsageError
from nmtool.hardware import AnalogNoise, Hardware, Layer
from nmtool.noise.base import Channels, NoiseModel
from nmtool.noise.cell import Cell
from nmtool.ops import DOMAIN, RUN, TRIAL
from nmtool.ops.analog import ANALOG_OPS
from nmtool.ops.chip import DEVICE_OPSET
from nmtool.passes.cells import sample_sigma
from nmtool.passes.constants import ConstantArray
from nmtool.passes.coverage import Candidate, Coverage, op_label
from nmtool.passes.crossbars import Plan, plan
from nmtool.passes.graphs import graphs, label
from nmtool.passes.inference import Inference
from nmtool.passes.macs import count_macs
from nmtool.passes.noise_inputs import NoiseInputs
from nmtool.passes.noise_rewriter import NODE_PREFIX, NoiseRewriter, Size
from nmtool.passes.report import CoverageReport, NodeReport
from nmtool.passes.selection import Selection
from nmtool.passes.statistics import statistics

MINIMUM_OPSET = 7
"""The first opset with numpy-style broadcasting, which the bodies of the primitives use."""
_LIFT = "lift it with --opset 18"


class InjectNoise(ir.passes.InPlacePass):
    """Make the weights of matrix products noisy.

    1. MatMul, Gemm, Conv and ConvTranspose with constant weights become composites (NoisyConv, …) of the same name.
    2. Other consumers of constant weights that map to arrays (LSTM, GRU, RNN, fused contrib operators, calls of
       functions that get weights as arguments), and weights behind a layout operator, get a primitive in front.
    3. MatMul of two activations stays digital unless `dynamic`.
    4. Names of nodes and values are kept; nodes in subgraphs and model-local functions are treated alike.
    5. A noisy node is left alone, so a second application changes nothing.

    Attributes:
        report: what became of every node; filled by a call.
        inputs: names of the values that are the run-time inputs (TRIAL, SCALE, …); empty where nothing was changed.
        channels: where the output channels of each array are, by its name.
        noises: what each array's noise is, by its name.
        has_hardware: there are cells or crossbars, which change the model even without noise.
    """

    def __init__(
        self,
        noise: AnalogNoise,
        *,
        seed: int = 0,
        selection: Selection | None = None,
        per_channel: bool = False,
        dynamic: bool = False,
        fresh: bool = False,
    ) -> None:
        """Prepare the pass.

        Args:
            noise: a noise model for all arrays, the cells that hold all weights, or hardware layer by layer.
            seed: 64-bit seed of the whole model.
            selection: which of the analog nodes; all by default.
            per_channel: size the noise by each output channel instead of the whole array.
            dynamic: also make the right operand of products of activations noisy.
            fresh: draw the sample inside the model at every run: that of the run where cells draw at every run.

        Raises:
            UsageError: the seed is out of range, or per_channel is given for cells or hardware.
        """
        if not -(2**63) <= seed < 2**63:
            raise UsageError(f"seed must be a 64-bit integer, not {seed}")
        if per_channel and isinstance(noise, Cell | Hardware):
            raise UsageError("per_channel sizes noise models", hint='cells have scale = "channel" instead')
        self.hardware = noise if isinstance(noise, Hardware) else Hardware(Layer(noise))
        self.seed = seed
        self.selection = selection or Selection()
        self.per_channel = per_channel
        self.dynamic = dynamic
        self.fresh = fresh
        self.report = CoverageReport()
        self.inputs: dict[str, str] = {}
        self.has_hardware = False
        self.channels: dict[str, Channels] = {}
        self.noises: dict[str, NoiseModel | Cell] = {}
        self._sizes: dict[ir.Value, Size] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite the model and fill `report`."""
        opset = opset_of(model)
        coverage = Coverage(model, self.hardware.layer.weights, self.dynamic, opset)
        candidates = list(coverage.candidates())
        skipped = self._skipped([candidate for candidate in candidates if not candidate.digital])
        self.report = CoverageReport()
        self.channels, self.noises, self._sizes = {}, {}, {}
        chosen: list[tuple[Candidate, Plan, Size | None]] = []
        for candidate in candidates:
            planned = self._plan(candidate, coverage.inference)
            reason = candidate.digital or skipped.get(candidate.site.node, "") or planned.digital
            entry = _entry(candidate, reason, coverage.inference)
            size = self._size(candidate, entry, planned)
            self.report.nodes.append(entry)
            if entry.status == "noisy":
                chosen.append((candidate, planned, size))
        arrays = [candidate.array for candidate in candidates if candidate.array is not None]
        self.report.other_weights, self.report.other_ops = coverage.other_weights(arrays)
        if chosen:
            cells = any(isinstance(planned.noise, Cell) or planned.crossbar for _, planned, _ in chosen)
            self.has_hardware = cells
            if cells and opset < DEVICE_OPSET:
                raise ModelError(f"the model's opset is {opset}: devices need {DEVICE_OPSET}", hint=_LIFT)
            fresh = (RUN if cells else TRIAL) if self.fresh else None
            inputs = NoiseInputs(model, fresh, self.hardware.time)
            rewriter = NoiseRewriter(model, inputs, self.seed, opset, coverage.inference, self.hardware.ranges)
            for candidate, planned, size in chosen:
                rewriter.rewrite(candidate, planned, size)
            rewriter.finish()
            if fresh is not None and fresh not in inputs.names:
                raise UsageError("nothing is drawn at every run in these devices", hint="leave out fresh")
            self.inputs = dict(inputs.names)
        return ir.passes.PassResult(model, bool(chosen))

    def _plan(self, candidate: Candidate, inference: Inference) -> Plan:
        layer = self.hardware.of(label(candidate.site.node))
        return Plan(layer.weights) if candidate.digital else plan(candidate, layer, inference)

    def _skipped(self, candidates: list[Candidate]) -> dict[ir.Node, str]:
        """The selection's reason for each node that it keeps digital."""
        nodes = list(dict.fromkeys(candidate.site.node for candidate in candidates))
        names, op_types = [label(n) for n in nodes], [n.op_type for n in nodes]
        for pattern in self.selection.unmatched(names, op_types) + self.hardware.unmatched(names, op_types):
            known = ", ".join(label(n) for n in nodes[:5])
            raise UsageError(f"no analog node matches: {pattern}", hint=f"the analog nodes begin with: {known}")
        digital = self.hardware.digital
        reasons = {
            node: self.selection.reason_to_skip(label(node), node.op_type, position, len(nodes))
            or digital.reason(label(node), node.op_type, position, len(nodes))
            for position, node in enumerate(nodes)
        }
        return {node: reason for node, reason in reasons.items() if reason}

    def _size(self, candidate: Candidate, entry: NodeReport, planned: Plan) -> Size | None:
        """Complete the report of a noisy candidate; what sizes its noise (None at run time)."""
        array, noise = candidate.array, planned.noise
        if entry.status == "digital":
            return None
        if noise is None:
            entry.sigma, entry.reason = 0.0, planned.remark
            return None
        if array is None:
            entry.reason = "activations; the noise is sized at run time"
            return None
        if array.value not in self._sizes:  # an array is written once, so its first use decides
            self._sizes[array.value] = self._measure(candidate, array)
        size = self._sizes[array.value]
        self.channels[array.name] = size.channels
        self.noises[array.name] = noise
        if isinstance(noise, Cell):
            sigma: float | None = sample_sigma(noise, array.tensor, size.channels, self.hardware.time, self.seed)
        else:
            sigma = noise.sigma(size.weights)
        entry.sigma, entry.reason = sigma, "; ".join(filter(None, (size.remark, planned.remark)))
        if sigma == 0 and noise.eta > 0 and not isinstance(noise, Cell):
            entry.status, entry.reason = "digital", "its noise would be zero: the weights are all equal"
        elif sigma is not None:
            entry.sigma_range, entry.sigma_max, entry.sigma_std = (
                float(sigma / size.whole.unit(unit)) if size.whole.unit(unit) > 0 else None
                for unit in ("range", "max", "std")
            )
        return size

    def _measure(self, candidate: Candidate, array: ConstantArray) -> "Size":
        whole = statistics(array.tensor, array.name)
        channels = _channels(candidate, array)
        if not self.per_channel or len(array.tensor.shape) < 2:
            return Size(whole, whole, channels)
        if channels.axis is None:
            return Size(whole, whole, channels, "per array: its output channels are not an axis of the array")
        return Size(whole, statistics(array.tensor, array.name, channels.axis, channels.groups), channels)


def _channels(candidate: Candidate, array: ConstantArray) -> Channels:
    node = candidate.site.node
    op = ANALOG_OPS.get((node.domain, node.op_type))
    operand = node.inputs[candidate.operand]
    rank = len(operand.shape) if operand is not None and operand.shape is not None else None
    axis = array.channel_axis(op.channel_axis(node, candidate.operand) if op else None, rank)
    groups = _groups(node, array)
    hidden = axis is None or len(array.tensor.shape) < 2 or (groups > 1 and array.layout)
    return Channels() if hidden else Channels(axis, groups)


def _groups(node: ir.Node, array: ConstantArray) -> int:
    """In how many groups that share no output channel the first axis of the array falls."""
    if node.op_type == "ConvTranspose":
        return node.attributes.get_int("group", 1)
    return int(array.tensor.shape.numpy()[0]) if node.op_type in ("LSTM", "GRU", "RNN") else 1  # the directions


def _entry(candidate: Candidate, reason: str, inference: Inference) -> NodeReport:
    """The report of a candidate that stays digital for `reason`, or is noisy."""
    node, array = candidate.site.node, candidate.array
    entry = NodeReport(label(node), op_label(node), "digital" if reason else "noisy", reason)
    entry.macs = count_macs(node, candidate.operand, inference)
    if array is not None:
        entry.array = array.name
        entry.shape = tuple(array.tensor.shape.numpy())
        entry.weights = array.tensor.size
    return entry


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
        raise ModelError(f"the model's opset is {versions[0]}, below {MINIMUM_OPSET}", hint=_LIFT)
    return versions[0]


def require_clean(model: ir.Model) -> None:
    """Refuse what has noise already.

    Raises:
        ModelError: nmtool made the model noisy, or it uses names that nmtool needs.
    """
    if provenance.read(model) is not None:
        raise ModelError("the model is noisy already", hint="start from the source model, or `nmtool strip` it first")
    if DOMAIN in model.opset_imports or any(domain == DOMAIN for domain, _, _ in model.functions):
        raise ModelError(
            f"the model uses operators of domain `{DOMAIN}`, but nmtool did not make it noisy",
            hint="rename that domain in the model",
        )
    for graph, _ in graphs(model):
        for node in graph:
            if (node.name or "").startswith(NODE_PREFIX):
                raise ModelError(f"node {node.name!r} is named like those that nmtool adds", hint="rename the node")
