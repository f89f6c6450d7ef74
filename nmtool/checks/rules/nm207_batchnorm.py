"""The statistics of BatchNormalization fit the data.

With --data, the values that reach each BatchNormalization are measured over up to 256 samples, and compared by channel
with the running mean and variance that it stores. Two figures tell how far off a node is, each a mean over its
channels: the squared difference of the means in units of the stored variance, and the absolute logarithm of the ratio
of the variances. Both are 0 for a perfect fit.

Running statistics go stale when weights are changed after they were taken: by training without updating them, by
pruning or quantization, or by writing back weights without them. A wrong preprocessing (a scale of 255, channels in
another order) shows in the same way, at the first node most of all. Accuracy falls while everything runs.

To fix: `nmtool calibrate-bn model.onnx --data ...` measures them again; check the preprocessing options first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.backends import Array
from nmtool.checks.engines import loader
from nmtool.checks.finding import Finding, not_checked, note, warning
from nmtool.checks.sampling import batches
from nmtool.checks.subject import Subject
from nmtool.passes.constants import stored_tensor
from nmtool.passes.expose import exposed, inlined
from nmtool.passes.graphs import label

_SAMPLES, _FEWEST = 256, 32
_WIDTH = 8
"""Nodes that are measured in one run through the data."""
_MEAN_LIMIT, _VARIANCE_LIMIT = 0.5, 1.0
_FIX = "run `nmtool calibrate-bn` on the data, after checking how it is prepared"


@dataclass
class _Moments:
    """Of the values that reach a node, by channel."""

    count: int = 0
    total: NDArray[Any] = field(default_factory=lambda: np.zeros(1))
    squares: NDArray[Any] = field(default_factory=lambda: np.zeros(1))

    def add(self, values: Array) -> None:
        """Count values [samples, channels, ...]."""
        columns = np.moveaxis(values.astype(np.float64), 1, -1).reshape(-1, values.shape[1])
        self.count += len(columns)
        self.total = self.total + columns.sum(axis=0)
        self.squares = self.squares + np.square(columns).sum(axis=0)


@dataclass(frozen=True)
class _Node:
    """A BatchNormalization: what it normalizes, and the statistics that it stores, by channel."""

    name: str
    value: str
    mean: NDArray[Any]
    variance: NDArray[Any]
    epsilon: float

    def misfit(self, moments: _Moments) -> tuple[float, float]:
        """The two figures."""
        mean = moments.total / moments.count
        variance = np.maximum(moments.squares / moments.count - mean**2, 0) + self.epsilon
        stored = self.variance + self.epsilon
        return float(np.mean((mean - self.mean) ** 2 / stored)), float(np.mean(np.abs(np.log(variance / stored))))


def check(subject: Subject) -> Iterator[Finding]:
    """Measure what reaches each node."""
    model = inlined(subject.clean.clone())
    nodes = list(_nodes(model))
    if not nodes:
        return
    if subject.data is None:
        yield not_checked(f"{len(nodes)} BatchNormalization nodes: made-up inputs say nothing", "give --data")
        return
    if subject.data.count < _FEWEST:
        count = subject.data.count
        yield not_checked(f"{count} samples are too few to measure statistics", f"give at least {_FEWEST} samples")
        return
    figures = list(_figures(subject, model, nodes))
    off = [(node, *pair) for node, pair in figures if pair[0] > _MEAN_LIMIT or pair[1] > _VARIANCE_LIMIT]
    for node, mean, variance in off:
        what = f"mean off by {mean:.2g}, log of variance by {variance:.2g}"
        yield warning(f"statistics of {node} do not fit the data: {what}", _FIX, node=node, mean=mean, log_var=variance)
    if not off:
        mean, variance = (max(pair[k] for _, pair in figures) for k in (0, 1))
        message = f"means of {len(figures)} nodes are off by at most {mean:.2g}, logs of variances by {variance:.2g}"
        yield note(message, mean=mean, log_var=variance)


def _figures(subject: Subject, model: ir.Model, nodes: list[_Node]) -> Iterator[tuple[str, tuple[float, float]]]:
    load = loader(subject, "onnxruntime")
    for start in range(0, len(nodes), _WIDTH):
        chunk = nodes[start : start + _WIDTH]
        moments = [_Moments() for _ in chunk]
        names = sorted({node.value for node in chunk} - {value.name for value in model.graph.inputs})
        loaded = load(exposed(model, names))
        for feeds, size in batches(subject, _SAMPLES):
            values = dict(zip(names, loaded.run(names, feeds, trial=0, scale=1.0), strict=True)) | dict(feeds)
            for node, found in zip(chunk, moments, strict=True):
                found.add(values[node.value][:size])
        yield from ((node.name, node.misfit(found)) for node, found in zip(chunk, moments, strict=True))


def _nodes(model: ir.Model) -> Iterator[_Node]:
    """The nodes of the main graph whose statistics are stored."""
    for node in model.graph:
        if node.op_type != "BatchNormalization" or node.domain or len(node.inputs) < 5 or node.inputs[0] is None:
            continue
        mean, variance = (None if value is None else stored_tensor(value) for value in node.inputs[3:5])
        if mean is not None and variance is not None:
            yield _Node(
                label(node),
                node.inputs[0].name or "",
                mean.numpy().astype(np.float64),
                variance.numpy().astype(np.float64),
                node.attributes.get_float("epsilon", 1e-5),
            )
