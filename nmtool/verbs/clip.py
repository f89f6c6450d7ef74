"""`nmtool clip`: less range in the weights, and so less noise, without any training."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool import provenance
from nmtool.clipping import clipped, limits
from nmtool.errors import ModelError, UsageError
from nmtool.model import digest, load
from nmtool.noise.base import Channels
from nmtool.noise.gaussian import Gaussian
from nmtool.passes.constants import FLOATS
from nmtool.passes.inject_noise import InjectNoise, require_clean
from nmtool.passes.report import NodeReport
from nmtool.passes.selection import Selection
from nmtool.passes.statistics import statistics
from nmtool.payloads import stored_arrays
from nmtool.reimport import Source, read, reimport


@dataclass(frozen=True)
class ArrayReport:
    """What clipping did to one array.

    Attributes:
        array: its name, as `inject` reports it.
        node: the first node that it is the weights of.
        shape: as stored.
        weights: number of weights.
        reason: why it was not clipped, or "".
        limit: largest magnitude that was left, of all channels, in weight units; None where it was not clipped.
        clipped: share of the weights that were beyond their limit, 0 to 1.
        range_before: max W - min W, in weight units; None where it was not clipped.
        range_after: the same afterwards.
    """

    array: str
    node: str
    shape: tuple[int, ...]
    weights: int
    reason: str = ""
    limit: float | None = None
    clipped: float = 0.0
    range_before: float | None = None
    range_after: float | None = None


@dataclass(frozen=True)
class ClipReport:
    """What was clipped, and what was not.

    Attributes:
        arrays: one entry per array that holds weights of a matrix product, in graph order.
        files: the files that were written, the model last.
    """

    arrays: tuple[ArrayReport, ...]
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON-serializable dict."""
        return {"arrays": [asdict(array) for array in self.arrays], "files": [str(file) for file in self.files]}


def clip(
    model: Source,
    output: str | os.PathLike[str],
    *,
    k: float = 2.5,
    per_channel: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    include_ops: Sequence[str] = (),
    exclude_ops: Sequence[str] = (),
    skip_first: int = 0,
    skip_last: int = 0,
    force: bool = False,
) -> ClipReport:
    """Clip the weights that `inject` would make noisy to k of their standard deviations around 0.

    The baseline of Joshi et al. 2020 (doi 10.1038/s41467-020-16108-9) that needs no training. Nothing else of the model
    changes, and an array that digital operators use as well is clipped for them, too.

    Args:
        model: path or ModelProto.
        output: where to write the clipped model.
        k: how many standard deviations, > 0.
        per_channel: take the standard deviation of each output channel instead of the whole array.
        include: name globs; when given, only the weights of analog nodes that match are clipped.
        exclude: name globs of nodes whose weights stay as they are.
        include_ops: operator types; when given, only these.
        exclude_ops: operator types whose weights stay as they are.
        skip_first: number of first analog nodes to leave alone.
        skip_last: number of last analog nodes to leave alone.
        force: overwrite files that exist.

    Raises:
        UsageError: k is out of range, a pattern matches nothing, or the output exists or cannot be written.
        ModelError: the model cannot be read, is noisy, or has nothing to clip.
    """
    if not math.isfinite(k) or k <= 0:
        raise UsageError(f"k must be a finite number > 0, not {k}")
    selection = Selection(include, exclude, include_ops, exclude_ops, skip_first, skip_last)
    plan = _plan(model, selection)
    proto, folder = read(model)
    stored = dict(stored_arrays(proto))
    weights: dict[str, NDArray[Any]] = {}
    reports: list[ArrayReport] = []
    for entry in _by_array(plan.report.nodes):
        if reason := _why_not(entry, stored.get(entry.array)):
            reports.append(ArrayReport(entry.array, entry.name, entry.shape, entry.weights, reason))
            continue
        tensor = ir.serde.deserialize_tensor(stored[entry.array], str(folder))
        channels = plan.channels[entry.array] if per_channel else Channels()
        weights[entry.array], report = _clip(entry, tensor, k, channels)
        reports.append(report)
    if not weights:
        reasons = sorted({f"{report.node}: {report.reason}" for report in reports})
        raise ModelError(f"nothing to clip: {'; '.join(reasons) or plan.report.why_nothing}")
    record = provenance.weights("clip", source_sha256=digest(model), k=k, per_channel=per_channel)
    return ClipReport(tuple(reports), reimport(model, weights, output, metadata=record, force=force).files)


def _plan(model: Source, selection: Selection) -> InjectNoise:
    """The pass that decides what is analog, after it has looked at the model; which noise it is for is all the same."""
    source = load(model)
    require_clean(source)
    plan = InjectNoise(Gaussian(), selection=selection)
    plan(source)
    return plan


def _by_array(nodes: Sequence[NodeReport]) -> list[NodeReport]:
    """The first report of each array; of one that is analog somewhere, the first such."""
    chosen: dict[str, NodeReport] = {}
    for node in nodes:
        if node.array and (node.array not in chosen or chosen[node.array].status == "digital"):
            chosen[node.array] = node
    return list(chosen.values())


def _why_not(entry: NodeReport, tensor: onnx.TensorProto | None) -> str:
    """Why the array, of this stored form, cannot be clipped; or ""."""
    if entry.status == "digital":
        return entry.reason
    if tensor is None:
        return "it is computed from other constants, and only what is stored can be clipped"
    dtype = ir.DataType(tensor.data_type)
    return "" if dtype in FLOATS else f"it is stored as {dtype.name} codes: clip the model before it is quantized"


def _clip(
    entry: NodeReport, tensor: ir.TensorProtocol, k: float, channels: Channels
) -> tuple[NDArray[Any], ArrayReport]:
    limit = limits(statistics(tensor, entry.array, channels.axis, channels.groups), k)
    before = np.asarray(tensor.numpy())
    after = clipped(before, limit)
    return after, ArrayReport(
        entry.array,
        entry.name,
        entry.shape,
        entry.weights,
        limit=float(np.where(np.isfinite(limit), limit, 0).max()),
        clipped=float(np.mean(after != before)),
        range_before=_range(before),
        range_after=_range(after),
    )


def _range(values: NDArray[Any]) -> float:
    return float(values.max()) - float(values.min())
