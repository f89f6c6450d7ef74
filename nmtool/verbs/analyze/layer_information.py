"""How many bits about the input the output of each layer holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from nmtool.analysis.contrast import contrast_bound
from nmtool.analysis.gaussian import Float64, mixture_bounds, product_variances
from nmtool.backends import Array
from nmtool.ops import DOMAIN
from nmtool.passes.graphs import label
from nmtool.passes.noisy_nodes import take_apart
from nmtool.verbs.analyze.probe import Probe, View
from nmtool.verbs.analyze.subject import Progress, Subject

_COORDINATES = 64  # elements of an output that are looked at; the others could only add information
_PRODUCTS = ("NoisyMatMul", "NoisyGemm")  # the composites of these operators begin so
_FEWEST = 8  # noise samples that the bound needs


@dataclass(frozen=True)
class LayerBits:
    """A node with noisy weights.

    Attributes:
        node: its label.
        infonce: a lower bound of I(X; output), with read noise in all layers.
        linear_low: a lower bound of I(X; output) with read noise in this layer alone, from its closed form.
        linear_high: an upper bound; both None where the layer is no matrix product with Gaussian noise.
    """

    node: str
    infonce: float
    linear_low: float | None
    linear_high: float | None


@dataclass(frozen=True)
class _Product:
    """A product x W of matrices with Gaussian noise on W."""

    node: str
    input: str
    std: Float64
    factor: float


def layer_bits(subject: Subject, draws: int, folder: Path, notes: list[str], progress: Progress) -> Sequence[LayerBits]:
    """Bound the information of the layers, in graph order.

    Args:
        subject: the model.
        draws: noise samples.
        folder: for a temporary file.
        notes: gets what could not be done.
        progress: called after each noise sample.

    Raises:
        ModelError: the runtime does not run the model with inner values as outputs.
    """
    if draws < _FEWEST:
        notes.append(f"no information of layers: it takes {_FEWEST} noise samples, --draws {draws} are fewer")
        return []
    point = {"part": "layers", "scale": subject.scale, "draws": draws, "coordinates": _COORDINATES}
    rows = subject.journal.measured(subject.setting(), point, lambda: _measured(subject, draws, folder, progress))
    return [LayerBits(*row) for row in rows]


def _measured(subject: Subject, draws: int, folder: Path, progress: Progress) -> list[list[Any]]:
    products = {product.node: product for product in _products(subject)}
    graph_inputs = {value.name for value in subject.model.graph.inputs}
    inner = sorted({product.input for product in products.values()} - graph_inputs)
    probe = Probe(View.of(subject, folder, inner), subject.local)
    names = [pair.output for pair in probe.pairs]
    values: list[list[Array]] = [[] for _ in names]
    chosen: list[Array] = []
    for trial in range(draws):
        parts: list[list[Array]] = [[] for _ in names]
        for number, batch in probe.batches():
            for k, output in enumerate(probe.run(names, number, batch, trial, noisy=True)):
                rows = output.reshape(len(output), -1)
                if len(chosen) == k:
                    size = min(_COORDINATES, rows.shape[1])
                    chosen.append(np.sort(np.random.default_rng(k).choice(rows.shape[1], size, replace=False)))
                parts[k].append(rows[:, chosen[k]].astype(np.float32))
        for k, part in enumerate(parts):
            values[k].append(np.concatenate(part))
        progress(trial + 1, draws, "information of layers")
    found = []
    for k, pair in enumerate(probe.pairs):
        bits = contrast_bound(np.stack(values[k]).astype(np.float64))
        low, high = _closed_form(probe, products[pair.node], pair.output) if pair.node in products else (None, None)
        found.append([pair.node, bits, low, high])
    return found


def _closed_form(probe: Probe, product: _Product, output: str) -> tuple[float | None, float | None]:
    inputs, means = [], []
    for number, batch in probe.batches():
        if product.input in batch.feeds:
            x, (y,) = batch.feeds[product.input], probe.run([output], number, batch, 0, noisy=False)
        else:
            x, y = probe.run([product.input, output], number, batch, 0, noisy=False)
        inputs.append(x)
        means.append(y)
    x, y = (np.concatenate(each).astype(np.float64) for each in (inputs, means))
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        return None, None
    variances = product.factor**2 * product_variances(x, product.std)
    return mixture_bounds(y, variances) if (variances > 0).all() else (None, None)


def _products(subject: Subject) -> list[_Product]:
    """The matrix products of the main graph with Gaussian noise on their right operand."""
    found = []
    for layer in subject.found:
        for site in layer.users:
            node = site.node
            if site.graph is subject.model.graph and node.domain == DOMAIN and node.op_type.startswith(_PRODUCTS):
                found.append(_product(subject, node))
    return [product for product in found if product is not None]


def _product(subject: Subject, node: ir.Node) -> _Product | None:
    parts = take_apart(subject.model, node)
    x, std = parts.inputs[0], parts.parameters[0] if parts.parameters else None
    drawn = [draw.primitive for draw in parts.draws]
    transposed = node.attributes.get_int("transA", 0)
    if parts.operand != 1 or drawn != ["GaussianNoise"] or transposed or x is None or std is None:
        return None
    if std.const_value is None or (array := parts.inputs[1]) is None or array.shape is None or len(array.shape) != 2:
        return None
    deviations = np.broadcast_to(std.const_value.numpy(), tuple(array.shape.numpy())).astype(np.float64)
    if node.attributes.get_int("transB", 0):
        deviations = deviations.T
    return _Product(label(node), x.name or "", subject.scale * deviations, node.attributes.get_float("alpha", 1.0))
