"""`nmtool calibrate-bn`: running statistics of BatchNormalization as they are under noise; no weights are trained."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import onnx_ir as ir

from nmtool import provenance
from nmtool.backends.ports import ports
from nmtool.data import DataOptions, DataSource
from nmtool.data import load as load_data
from nmtool.errors import ModelError, UsageError
from nmtool.hardware import AnalogNoise, at_strength_one, strength
from nmtool.interpreter import require_torch
from nmtool.model import digest, load
from nmtool.noise.base import parameters, require_non_negative
from nmtool.passes.graphs import FullNames, label, sites
from nmtool.passes.selection import Selection
from nmtool.payloads import Change, stored_arrays
from nmtool.reimport import Source, read, reimport

T = TypeVar("T")


@dataclass(frozen=True)
class NormReport:
    """What became of one BatchNormalization node.

    Attributes:
        node: its label.
        mean: the change of its running mean; None where it stays as it is.
        var: the change of its running variance.
        reason: why they stay as they are, or "".
    """

    node: str
    mean: Change | None = None
    var: Change | None = None
    reason: str = ""


@dataclass(frozen=True)
class Calibration:
    """What was calibrated.

    Attributes:
        nodes: one entry per BatchNormalization node, in graph order.
        batches: how many batches the statistics are the mean of.
        files: the files that were written, the model last.
    """

    nodes: tuple[NormReport, ...]
    batches: int
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON-serializable dict."""
        return asdict(self) | {"files": [str(file) for file in self.files]}


def calibrate_bn(
    model: Source,
    data: DataSource,
    output: str | os.PathLike[str],
    *,
    eta: float | None = None,
    noise: str | AnalogNoise = "gaussian",
    relative_to: Literal["range", "max", "std"] | None = None,
    per_channel: bool = False,
    seed: int = 0,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    include_ops: Sequence[str] = (),
    exclude_ops: Sequence[str] = (),
    skip_first: int = 0,
    skip_last: int = 0,
    dynamic: bool = False,
    batches: int | None = None,
    data_options: DataOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
    force: bool = False,
) -> Calibration:
    """Recompute the running statistics of BatchNormalization under noise (Tsai et al. 2020, arXiv:2007.03230).

    They become the means over the batches of what `torch.nn.BatchNorm2d` would measure, each batch with its own noise.
    Before the file is put in place, ONNX Runtime and torch are compared on it.

    Args:
        model: path or ModelProto.
        data: samples like those that the model will see; labels are not used.
        output: where to write the model.
        eta: strength of the noise; see `inject`. None: 0.05, and 1 for devices and hardware.
        noise: noise model, by name or with its parameters (its eta is not used).
        relative_to: what eta of `gaussian` is relative to; see `inject`.
        per_channel: size the noise by each output channel instead of the whole array.
        seed: 64-bit seed of the noise.
        include: name globs; when given, only analog nodes that match are noisy.
        exclude: name globs of nodes to keep digital.
        include_ops: operator types; when given, only these.
        exclude_ops: operator types to keep digital.
        skip_first: number of first analog nodes to keep digital.
        skip_last: number of last analog nodes to keep digital.
        dynamic: also make the right operand of products of two activations noisy.
        batches: use only so many batches; None: all. Samples at the end that do not fill a batch are not used.
        data_options: how to read and prepare the data, and how large batches are.
        progress: called with the batches done and all there are.
        force: overwrite files that exist.

    Raises:
        UsageError: an option or the data is wrong, or the output exists or cannot be written.
        ModelError: the model cannot be read or converted, or has no running statistics that can be written back.
        CheckError: the file that was written does not compute what torch does.
        SetupError: torch is not installed.
    """
    require_torch()
    from nmtool.interpreter.precision import widen
    from nmtool.training.arrays import state, to_numpy, to_tensors
    from nmtool.training.batchnorm import recalibrate, running_statistics
    from nmtool.training.parity import gate
    from nmtool.training.student import Placement, Student

    if batches is not None and batches < 1:
        raise UsageError(f"batches must be at least 1, not {batches}")
    unit_noise = at_strength_one(noise, relative_to)
    eta = strength(unit_noise, eta)
    require_non_negative(unit_noise.name, eta=eta)
    source = widen(load(model))
    nodes, inputs = _nodes(source), ports(source, any_batch=True)
    selection = Selection(include, exclude, include_ops, exclude_ops, skip_first, skip_last)
    placement = Placement(selection, per_channel, dynamic)
    student = Student(source, unit_noise, placement, seed)
    stored = {name for name, _ in stored_arrays(read(model)[0])}
    chosen = [each for each in running_statistics(student) if {each.mean, each.var} <= stored]
    if not chosen:
        reasons = sorted({_reason(node, student.names) for node in nodes})
        raise ModelError(f"no running statistics can be written back: {'; '.join(reasons)}")
    dataset = load_data(data, inputs, data_options)
    total = min(max(1, dataset.count // dataset.batch_size), batches or dataset.count)
    tensors = (to_tensors(batch.feeds, [port.name for port in inputs]) for batch in islice(dataset, total))
    recalibrate(student, _counted(tensors, total, progress), count(), eta, chosen)
    arrays = state(student.graph, student.names)
    values = {name: to_numpy(arrays[name]) for each in chosen for name in (each.mean, each.var)}
    record = provenance.weights(
        "calibrate-bn",
        "torch",
        source_sha256=digest(model),
        data_sha256=dataset.digest(),
        seed=seed,
        settings={
            "noise": parameters(unit_noise) | {"eta": eta},
            "placement": asdict(placement),
            "batches": total,
            "batch_size": dataset.batch_size,
        },
    )
    verify = gate(student, model, next(iter(dataset)).feeds)
    written = reimport(model, values, output, metadata=record, verify=verify, force=force)
    changes = {change.name: change for change in written.changes}
    reports = [
        NormReport(node.label, changes[node.mean], changes[node.var])
        if {node.mean, node.var} <= values.keys()
        else NormReport(node.label, reason=_reason(node, student.names))
        for node in nodes
    ]
    return Calibration(tuple(reports), total, written.files)


class _Node(NamedTuple):
    """A BatchNormalization node, and the full names of its running mean and variance."""

    label: str
    mean: str
    var: str


def _nodes(model: ir.Model) -> list[_Node]:
    """Every one of the model, in graph order."""
    full_name = FullNames(model)
    found = []
    for site in sites(model):
        if (site.node.domain, site.node.op_type) == ("", "BatchNormalization"):
            names = (full_name(value) for value in site.node.inputs[3:5] if value is not None)
            found.append(_Node(label(site.node), *names))
    if not found:
        raise ModelError(
            "the model has no BatchNormalization nodes",
            hint="exporters merge them into the layers before: export with training=TrainingMode.PRESERVE, or with "
            "optimize=False where there is such an option; or use `nmtool distill`",
        )
    return found


def _reason(node: _Node, names: Collection[str]) -> str:
    """Why statistics stay as they are; `names` are those of all parameters and buffers of the student."""
    if any(f"{array}@{node.label}" in names for array in (node.mean, node.var)):
        return "an exporter has merged its statistics with other arrays"
    return "its statistics are computed by the model, or inside a function"


def _counted(items: Iterable[T], total: int, progress: Callable[[int, int], None] | None) -> Iterator[T]:
    for done, item in enumerate(items, start=1):
        yield item
        if progress is not None:
            progress(done, total)
