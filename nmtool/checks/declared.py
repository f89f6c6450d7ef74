"""What inject makes of the clean model when it is told what the record says: the noise that the model declares."""

from dataclasses import dataclass, field

import onnx_ir as ir

from nmtool.errors import ModelError, UsageError
from nmtool.hardware import AnalogNoise, Hardware
from nmtool.hardware.profile import RANGES, recorded
from nmtool.model import load
from nmtool.noise.base import NoiseModel
from nmtool.noise.cell import Cell
from nmtool.noise.stream import stream_of
from nmtool.ops import DOMAIN
from nmtool.ops.analog import ANALOG_OPS
from nmtool.passes.coverage import Coverage
from nmtool.passes.graphs import Site, sites
from nmtool.passes.inject_noise import InjectNoise, opset_of
from nmtool.passes.noise_rewriter import NOISY_SUFFIX
from nmtool.passes.noisy_nodes import is_added, is_cells, is_crossbar, is_primitive, noisy_sites, take_apart
from nmtool.passes.report import CoverageReport, NodeReport
from nmtool.passes.selection import Selection
from nmtool.passes.strip_noise import StripNoise
from nmtool.provenance import Provenance


@dataclass(frozen=True)
class Declared:
    """The declared noise.

    Attributes:
        model: the noisy model as inject writes it.
        noise: the noise model of the record.
        coverage: what inject reports.
        reports: the entry of the array of each stream.
    """

    model: ir.Model
    noise: AnalogNoise
    coverage: CoverageReport
    reports: dict[int, NodeReport]

    def name(self, call: ir.Node) -> str:
        """The name of the physical array that a node of domain nmtool draws for; its output's for an activation."""
        report = self.reports.get(call.attributes.get_int("stream", 0))
        return report.array if report is not None else call.outputs[0].name or ""


def declare(noisy: ir.Model, record: Provenance) -> Declared:
    """Inject what the record says into the clean model, in those nodes that are noisy.

    Args:
        noisy: the noisy model.
        record: its record.

    Raises:
        ModelError: the noise of the record is unknown, or the noise of the model cannot be taken out.
    """
    model = StripNoise()(load(noisy)).model
    noise = noise_of(record)
    dynamic, per_channel = (bool(record.noise.get(option)) for option in ("dynamic", "per_channel"))
    coverage = Coverage(model, _of_most(noise), dynamic, opset_of(model))
    analog = dict.fromkeys(c.site.node for c in coverage.candidates() if not c.digital)
    places = {site.node: place(site) for site in sites(model)}
    chosen = _noisy_places(noisy)
    selection = _Positions(positions=frozenset(k for k, node in enumerate(analog) if places[node] in chosen))
    injector = InjectNoise(
        noise, seed=record.seed, selection=selection, per_channel=per_channel, dynamic=dynamic, fresh=record.fresh
    )
    model = injector(model).model
    entries = [entry for entry in injector.report.nodes if entry.status == "noisy" and entry.array]
    return Declared(model, noise, injector.report, {stream_of(entry.array): entry for entry in reversed(entries)})


def noise_of(record: Provenance) -> AnalogNoise:
    """The noise of a record.

    Raises:
        ModelError: there is no such model, or it has no such parameters.
    """
    options = {name: value for name, value in record.noise.items() if name not in ("per_channel", "dynamic")}
    try:
        return recorded(options)
    except (UsageError, KeyError, TypeError) as error:
        reason = error.message if isinstance(error, UsageError) else str(error)
        raise ModelError(f"the noise of the model's record is unknown: {reason}", hint="inject it again") from error


def has_fixed_effects(noise: AnalogNoise) -> bool:
    """Whether the hardware changes the model even without noise: it rounds, drifts, or drops voltage."""
    layers = noise.layers if isinstance(noise, Hardware) else ()
    return isinstance(noise, Cell) or any(isinstance(layer.weights, Cell) or layer.periphery for layer in layers)


def rounds_activations(noise: AnalogNoise) -> bool:
    """Whether converters round activations: then a difference in the last bit may move a whole step."""
    return isinstance(noise, Hardware) and any(layer.periphery is not None for layer in noise.layers)


def _of_most(noise: AnalogNoise) -> NoiseModel | Cell | None:
    return noise.layer.weights if isinstance(noise, Hardware) else noise


def calls(model: ir.Model) -> dict[str, Site]:
    """The nodes of domain nmtool outside its own functions, by place."""
    return {place(site): site for site in noisy_sites(model)}


def place(site: Site) -> str:
    """What tells a node from all others of the model: path and name of its first output that has one."""
    return site.path + next((output.name for output in site.node.outputs if output.name), "")


def parameter_inputs(model: ir.Model, call: ir.Node) -> range:
    """Which inputs of a node of domain nmtool are parameters of the noise.

    Raises:
        ModelError: the node is a composite that the model does not define.
    """
    if is_cells(call):
        return range(0)
    if is_crossbar(call):
        names = [value.name for value in model.functions[call.op_identifier()].inputs]
        first = next((k for k, name in enumerate(names) if name in RANGES), 0)
        return range(first, first + sum(name in RANGES for name in names))
    if is_primitive(call):
        return range(1, len(call.inputs) - 2)
    parts = take_apart(model, call)
    start = ANALOG_OPS["", parts.stock].required
    return range(start, start + len(parts.parameters))


def _noisy_places(model: ir.Model) -> set[str]:
    """The places of the nodes that have noise on an operand."""

    def takes_noisy(node: ir.Node) -> bool:
        producers = [(value, value.producer()) for value in node.inputs if value is not None]
        return any(
            producer is not None and is_added(producer) and (value.name or "").endswith(NOISY_SUFFIX)
            for value, producer in producers
        )

    return {
        place(site)
        for site in sites(model)
        if (site.node.domain == DOMAIN and not is_primitive(site.node))
        or (not is_added(site.node) and takes_noisy(site.node))
    }


@dataclass(frozen=True)
class _Positions(Selection):
    """The nodes at some positions among the analog ones: names need not be unique."""

    positions: frozenset[int] = field(default_factory=frozenset)

    def reason_to_skip(self, name: str, op_type: str, position: int, count: int) -> str | None:
        """See Selection.reason_to_skip."""
        return None if position in self.positions else "digital in the model"
