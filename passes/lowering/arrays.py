"""What lowering looks for: arrays with Gaussian noise of a known size in front of one operator."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedFunctionsPass

from nmtool.errors import ModelError
from nmtool.noise.base import PARAMETER_NAMES
from nmtool.ops import DOMAIN
from nmtool.ops.composites import NOISE_ATTRIBUTES
from nmtool.passes.constants import stored_tensor
from nmtool.passes.graphs import replace_node
from nmtool.passes.noise_rewriter import NODE_PREFIX
from nmtool.passes.noisy_nodes import Draw, is_primitive, noisy_sites, stock_node, take_apart


class OpenComposites(ir.passes.InPlacePass):
    """Replace the calls of composites in the main graph by the primitives and the stock operator that they consist of.

    1. The stock operator takes the call's name.
    2. Composites that compute the parameters of their noise stay.
    3. The bodies of the primitives are dropped: the operator library has kernels for them.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Open them in place."""
        opened = False
        for site in list(noisy_sites(model)):
            if site.graph is not model.graph or is_primitive(site.node):
                continue
            try:
                parts = take_apart(model, site.node)
            except ModelError:  # a crossbar, or another tool's
                continue
            if any(value is None for draw in parts.draws for value in draw.parameters):
                continue
            weights = parts.inputs[parts.operand]
            for draw in parts.draws:
                noise = _primitive(site.node, draw, [weights, *draw.parameters, parts.trial, parts.scale])
                model.graph.insert_before(site.node, noise)
                weights = noise.outputs[0]
            stock = stock_node(site.node, parts)
            stock.replace_input_with(parts.operand, weights)
            replace_node(model.graph, site.node, stock)
            opened = True
        for primitive in PARAMETER_NAMES:
            model.functions.pop((DOMAIN, primitive, ""), None)
        RemoveUnusedFunctionsPass()(model)  # type: ignore[no-untyped-call]
        return ir.passes.PassResult(model, opened)


def _primitive(call: ir.Node, draw: Draw, inputs: list[ir.Value | None]) -> ir.Node:
    attributes = [call.attributes[name] for name in NOISE_ATTRIBUTES]
    number = f"/{draw.draw}" if draw.draw else ""
    array = inputs[0]
    kind, shape = (array.type, array.shape) if array is not None else (None, None)
    return ir.Node(
        DOMAIN,
        draw.primitive,
        inputs,
        [*attributes, ir.AttrInt64("draw", draw.draw)],
        name=f"{NODE_PREFIX}{call.name or call.outputs[0].name}{number}",
        outputs=[ir.val(f"{call.outputs[0].name}::noisy{draw.draw}", type=kind, shape=shape)],
    )


@dataclass(frozen=True, eq=False)
class NoisyArray:
    """A float32 initializer with one draw of Gaussian noise, as the operand of one node of the main graph.

    Attributes:
        noise: the GaussianNoise node.
        node: the node that uses what it draws.
        operand: which of its inputs that is.
        alone: whether no other node draws on the same physical array.
    """

    noise: ir.Node
    node: ir.Node
    operand: int
    alone: bool

    @property
    def weights(self) -> NDArray[np.float32]:
        """The array without noise."""
        return _array(self.noise.inputs[0])

    @property
    def std(self) -> NDArray[np.float32]:
        """Standard deviation of the noise at scale 1; broadcasts to the array."""
        return _array(self.noise.inputs[1])

    def channel_std(self, axis: int) -> NDArray[np.float32] | None:
        """Standard deviation of each channel along `axis` of the array [C], [1] where it is one for all.

        None where it differs inside a channel.
        """
        shape, std = self.weights.shape, self.std
        aligned = std.reshape((1,) * (len(shape) - std.ndim) + std.shape)
        if any(size != 1 for k, size in enumerate(aligned.shape) if k != axis % len(shape)):
            return None
        return aligned.reshape(-1)


def noisy_arrays(model: ir.Model) -> list[NoisyArray]:
    """The noisy arrays of the main graph, in its order."""
    draws = [site.node for site in noisy_sites(model) if site.node.op_type in PARAMETER_NAMES]
    streams = Counter(_stream(node) for node in draws)
    found = []
    for noise in draws:
        fixed = noise.op_type == "GaussianNoise" and all(_is_fixed_float32(value) for value in noise.inputs[:2])
        user = only_user(noise) if fixed and noise.graph is model.graph else None
        if user is not None:
            found.append(NoisyArray(noise, *user, streams[_stream(noise)] == 1))
    return found


def _stream(noise: ir.Node) -> int:
    return noise.attributes.get_int("stream", 0)


def only_user(node: ir.Node) -> tuple[ir.Node, int] | None:
    """The one node, of the same graph, that uses the node's first output, and as which input; else None."""
    uses = list(node.outputs[0].uses())
    if len(uses) != 1 or node.outputs[0].is_graph_output() or uses[0].node.graph is not node.graph:
        return None
    return uses[0].node, uses[0].idx


def new_initializer(model: ir.Model, name: str, array: NDArray[np.generic]) -> ir.Value:
    """A new initializer, called `name` where that is free."""
    free, number = name, 0
    while free in model.graph.initializers:
        number += 1
        free = f"{name}_{number}"
    value = ir.val(free, const_value=ir.tensor(np.ascontiguousarray(array), name=free))
    model.graph.register_initializer(value)
    return value


def is_fixed(value: ir.Value | None) -> bool:
    """Whether the value is an initializer that no caller can replace, or a Constant."""
    return value is not None and stored_tensor(value) is not None and not value.is_graph_input()


def _is_fixed_float32(value: ir.Value | None) -> bool:
    tensor = None if value is None or not is_fixed(value) else stored_tensor(value)
    return tensor is not None and tensor.dtype == ir.DataType.FLOAT


def _array(value: ir.Value | None) -> NDArray[np.float32]:
    tensor = None if value is None else stored_tensor(value)
    assert tensor is not None
    return np.asarray(tensor.numpy())
