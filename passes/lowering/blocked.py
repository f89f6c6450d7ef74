"""Noise behind ONNX Runtime's layout of convolutions.

With constant weights, ONNX Runtime stores the channels of activations and weights in blocks (its NCHWc layout) and has
faster kernels for that. Noise in front of the weights prevents it. So the runtime first lays out the model without
noise, offline, and then the noise goes in front of the weights that it has laid out: the same draws for the same
weights.

Where the runtime puts which weight is found out, not assumed: it lays out labels, numbers that differ, and what it does
with them must be a layout that is known here.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.ops import DOMAIN
from nmtool.passes.constants import stored_tensor
from nmtool.passes.inference import Inference
from nmtool.passes.lowering.arrays import NoisyArray, is_fixed, new_initializer, noisy_arrays
from nmtool.passes.lowering.nodes import Nodes
from nmtool.passes.lowering.sample_convolutions import largest_input, positions_where_outputs_are_cheaper, sampled

LayOut = Callable[[ir.Model], ir.Model]
"""What the runtime makes of a model, with all optimisations for this machine."""

BLOCKED_DOMAIN = "com.microsoft.nchwc"
_BLOCKS = (16, 8)  # AVX-512 and NEON; AVX2
_KEPT = "::kept"


@dataclass(frozen=True)
class Layout:
    """How weights are stored: output channels in blocks, and inside these input channels in blocks of `inner`."""

    block: int
    inner: int

    def shape(self, weights: NDArray[np.float32]) -> tuple[int, ...]:
        """Shape of weights [O, I, …] as they are stored: padded to whole blocks."""
        outputs, inputs = (math.ceil(n / b) * b for n, b in zip(weights.shape, (self.block, self.inner), strict=False))
        return (outputs, inputs, *weights.shape[2:])

    def stored(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Weights [O, I, …] as they are stored, padded with zeros."""
        outputs, inputs, *positions = self.shape(weights)
        padded = np.zeros((outputs, inputs, *positions), np.float32)
        padded[: weights.shape[0], : weights.shape[1]] = weights
        split = padded.reshape(outputs // self.block, self.block, inputs // self.inner, self.inner, -1)
        return split.transpose(0, 2, 4, 3, 1).reshape(padded.shape)


def with_blocked_noise(model: ir.Model, lay_out: LayOut, *, outputs: bool) -> tuple[ir.Model, dict[str, int]]:
    """The model as the runtime lays it out, with the noise of convolutions behind that layout.

    Arrays that the runtime lays out in a way that is not known here keep the noise in front of them.

    Args:
        model: the noisy model.
        lay_out: what the runtime makes of a model.
        outputs: sample the outputs of convolutions that have few.

    Returns:
        The model, and by the name of each convolution whose noise is behind the layout up to how many positions its
        outputs are sampled; the model given, and none, where that is so.
    """
    arrays = [array for array in noisy_arrays(model) if _is_candidate(array)]
    while arrays:
        laid_out = lay_out(_labelled(model, arrays))
        places = _places(laid_out, arrays)
        found = [array for array in arrays if array in places]
        if len(found) == len(arrays):
            values, limits, inference = _take_kept(laid_out), {}, Inference(model)
            for array, (layout, node) in places.items():
                sampled_too = outputs and layout.inner > 1
                limit = positions_where_outputs_are_cheaper(array, inference) if sampled_too else 0
                _insert(laid_out, array, layout, node, values, limit)
                limits[array.node.name or ""] = limit
            return laid_out, limits
        arrays = found
    return model, {}


def _is_candidate(array: NoisyArray) -> bool:
    bias = array.node.inputs[2] if len(array.node.inputs) > 2 else None
    return (
        (array.node.domain, array.node.op_type, array.operand) == ("", "Conv", 1)
        and array.weights.ndim == 4
        and array.channel_std(0) is not None
        and (bias is None or is_fixed(bias))
    )


def _labels(number: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Other numbers for each array, and in it for each weight."""
    return ((number + 1) * np.arange(1, math.prod(shape) + 1, dtype=np.float32)).reshape(shape)


def _labelled(model: ir.Model, arrays: Sequence[NoisyArray]) -> ir.Model:
    """A copy where the arrays are labels, without noise.

    What their noise needs of the model becomes outputs of it, so that the runtime does not remove it.
    """
    numbers = {array.noise.outputs[0].name: number for number, array in enumerate(arrays)}
    copy = model.clone()
    values = {value.name: value for value in _values(copy)}
    kept = sorted({value.name or "" for array in arrays for value in array.noise.inputs[2:] if value is not None})
    for node in [node for node in copy.graph if node.outputs[0].name in numbers]:
        number = numbers[node.outputs[0].name]
        labels = new_initializer(copy, f"label{number}", _labels(number, arrays[number].weights.shape))
        node.outputs[0].replace_all_uses_with(labels)
        copy.graph.remove(node, safe=True)
    for name in kept:
        probe = ir.Node("", "Identity", [values[name]], outputs=[ir.val(f"{name}{_KEPT}")])
        copy.graph.append(probe)
        copy.graph.outputs.append(probe.outputs[0])
    return copy


def _take_kept(laid_out: ir.Model) -> dict[str, ir.Value]:
    """Take away the outputs that `_labelled` added; returns the values behind them by their names."""
    kept = {}
    for output in [value for value in laid_out.graph.outputs if (value.name or "").endswith(_KEPT)]:
        laid_out.graph.outputs.remove(output)
        node, value = output.producer(), output
        if node is not None and node.op_type == "Identity" and node.inputs[0] is not None:
            value = node.inputs[0]
            laid_out.graph.remove(node, safe=True)
        kept[(output.name or "").removesuffix(_KEPT)] = value
    return kept


def _places(laid_out: ir.Model, arrays: Sequence[NoisyArray]) -> dict[NoisyArray, tuple[Layout, ir.Node]]:
    """The convolutions that use the labels of an array, in a layout that is known here."""
    by_shape = defaultdict(list)
    for node in laid_out.graph:
        tensor = stored_tensor(node.inputs[1]) if _is_blocked(node) and node.inputs[1] is not None else None
        if tensor is not None:
            by_shape[tuple(tensor.shape.numpy())].append((node, tensor.numpy()))
    places: dict[NoisyArray, tuple[Layout, ir.Node]] = {}
    for number, array in enumerate(arrays):
        labels = _labels(number, array.weights.shape)
        for layout in (Layout(block, inner) for block in _BLOCKS for inner in (block, 1)):
            begin = layout.stored(labels[: layout.block, : layout.inner]).ravel()
            for node, stored in by_shape.get(layout.shape(labels), ()):
                if not np.array_equal(stored.ravel()[: begin.size], begin):  # cheap, and mostly enough
                    continue
                if np.array_equal(stored, layout.stored(labels)):
                    places.setdefault(array, (layout, node))  # with one position, both layouts are the same
    return places


def _is_blocked(node: ir.Node) -> bool:
    return (node.domain, node.op_type) == (BLOCKED_DOMAIN, "Conv")


def _insert(
    model: ir.Model, array: NoisyArray, layout: Layout, node: ir.Node, values: dict[str, ir.Value], limit: int
) -> None:
    """Put noise in front of the weights of a convolution, or up to `limit` positions on its outputs."""
    name, labels, output = array.node.name, node.inputs[1], node.outputs[0]
    channel_std = array.channel_std(0)
    assert channel_std is not None
    weights = new_initializer(model, f"{name}::weights", layout.stored(array.weights))
    std = new_initializer(model, f"{name}::std", channel_std)
    trial, scale = (values[value.name or ""] for value in array.noise.inputs[2:] if value is not None)
    drawn, outer = [std, trial, scale], Nodes(f"{output.name}::")
    if limit == 0:
        result = _noisy(outer, node, array, layout, [weights, *drawn])
    else:
        few, many = Nodes(f"{output.name}::outputs/"), Nodes(f"{output.name}::weights/")
        none = new_initializer(model, f"{name}::none", np.zeros(1, np.float32))
        channels = layout.shape(array.weights)[1]
        bound = new_initializer(model, f"{name}::few", largest_input(array, channels, limit) + 1)
        result = outer.choose(
            outer.op("Less", [outer.op("Size", [node.inputs[0]]), bound]),
            (few, sampled(few, node, array, layout.block, [weights, *drawn, none])),
            (many, _noisy(many, node, array, layout, [weights, *drawn])),
            name=node.name,
        )
    result.type, result.shape = output.type, output.shape
    ir.convenience.replace_nodes_and_values(model.graph, node, [node], outer.nodes, [output], [result])
    if labels is not None and labels.is_initializer() and not labels.uses():
        model.graph.initializers.pop(labels.name or "")
    model.opset_imports[DOMAIN] = array.noise.version or 1


def _noisy(nodes: Nodes, node: ir.Node, array: NoisyArray, layout: Layout, inputs: Sequence[ir.Value]) -> ir.Value:
    """Add a convolution with noisy weights; returns its output."""
    channels, depth = array.weights.shape[:2]
    attributes = {"channels": channels, "inputs": depth, "block": layout.block, "inner": layout.inner}
    source = {name: array.noise.attributes.get_int(name, 0) for name in ("seed", "stream", "draw")}
    noisy = nodes.op("BlockedGaussianNoise", inputs, source | attributes, domain=DOMAIN, name=array.noise.name)
    return nodes.copy(node, {1: noisy})


def _values(model: ir.Model) -> list[ir.Value]:
    return [*model.graph.inputs, *model.graph.initializers.values(), *(o for node in model.graph for o in node.outputs)]
