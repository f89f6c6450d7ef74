"""Sampling the outputs of a convolution that has few positions, as those of a product.

A convolution is the product of the patches that it sees, one row for each position of each image, with the weights of
its channels (sample_outputs.py). The operator ConvNoise gathers the patches, and draws what the noise adds to the
outputs; the convolution, whose weights stay constant, takes that as the sum that it begins with.
"""

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.ops import DOMAIN
from nmtool.passes.inference import Inference
from nmtool.passes.lowering.arrays import NoisyArray
from nmtool.passes.lowering.crossover import rows_where_outputs_are_cheaper
from nmtool.passes.lowering.nodes import Nodes
from nmtool.passes.lowering.sample_outputs import DRAW


def positions_where_outputs_are_cheaper(array: NoisyArray, inference: Inference) -> int:
    """Up to how many positions, of all images together, it is cheaper to sample outputs.

    0 where it is not possible, or where one image is known to have more.
    """
    node = array.node
    padded = node.attributes.get_string("auto_pad", "NOTSET")
    if not array.alone or node.attributes.get_int("group", 1) != 1 or padded not in ("NOTSET", "VALID"):
        return 0
    channels, *patch = array.weights.shape
    limit = rows_where_outputs_are_cheaper(math.prod(patch), channels, fused=True)  # behind the layout: as cheap
    shape = inference.shape(node.outputs[0])
    positions = 1 if shape is None else math.prod(size or 1 for size in shape[2:])
    return limit if positions <= limit else 0


def largest_input(array: NoisyArray, channels: int, limit: int) -> NDArray[np.int64]:
    """The size of an input of so many channels that has `limit` positions, but for those at the edges."""
    return np.array(limit * channels * math.prod(_window(array)["stride"]))


def sampled(nodes: Nodes, node: ir.Node, array: NoisyArray, block: int, inputs: Sequence[ir.Value]) -> ir.Value:
    """Add a convolution with sampled outputs; returns its output.

    Args:
        nodes: where to add it.
        node: the convolution, as the runtime has laid it out.
        array: its weights before that.
        block: how many channels are stored together.
        inputs: the constant weights, the noise's standard deviation, trial and scale, and [0].
    """
    weights, std, trial, scale, none = inputs
    before = node.inputs[3] if len(node.inputs) > 3 else None
    source = {name: array.noise.attributes.get_int(name, 0) for name in ("seed", "stream")} | {"draw": DRAW}
    window = {f"{name}_{axis}": size for name, sizes in _window(array).items() for axis, size in enumerate(sizes)}
    attributes = source | window | {"channels": array.weights.shape[0], "block": block}
    noise = nodes.op("ConvNoise", [node.inputs[0], std, trial, scale, before or none], attributes, domain=DOMAIN)
    return nodes.copy(node, {1: weights, 3: noise})


def _window(array: NoisyArray) -> dict[str, Sequence[int]]:
    attributes = array.node.attributes
    pads = attributes.get_ints("pads", (0, 0, 0, 0))
    return {
        "kernel": array.weights.shape[2:],
        "stride": attributes.get_ints("strides", (1, 1)),
        "dilation": attributes.get_ints("dilations", (1, 1)),
        "begin": pads[:2],
        "end": pads[2:],
    }
