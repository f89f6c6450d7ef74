"""Products of activations by a noisy matrix."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.passes.constants import stored_tensor
from nmtool.passes.lowering.arrays import NoisyArray, is_fixed, only_user


@dataclass(frozen=True, eq=False)
class Product:
    """X W, or a Gemm, with the bias that is added to it.

    Attributes:
        array: the array of W.
        x: X, of any rank; its last axis has K elements.
        shape: K and N.
        std: standard deviation of all channels, [1], or of each, [N].
        add: the node that adds the bias to a MatMul, or None.
    """

    array: NoisyArray
    x: ir.Value
    shape: tuple[int, int]
    std: NDArray[np.float32]
    add: ir.Node | None

    @property
    def nodes(self) -> list[ir.Node]:
        """What computes it, without the noise."""
        return [self.array.node, *([self.add] if self.add is not None else [])]

    @property
    def output(self) -> ir.Value:
        """Its value."""
        return self.nodes[-1].outputs[0]

    @property
    def bias(self) -> ir.Value | None:
        """What is added to it: to a MatMul one number for each channel, to a Gemm anything."""
        node = self.array.node
        if self.add is not None:
            return self.add.inputs[1 if self.add.inputs[0] is node.outputs[0] else 0]
        return node.inputs[2] if len(node.inputs) > 2 else None


def as_product(array: NoisyArray) -> Product | str:
    """The product that a noisy array is in; or what else its node is."""
    node, x = array.node, array.node.inputs[0]
    if node.domain or node.op_type not in ("MatMul", "Gemm") or array.operand != 1 or array.weights.ndim != 2:
        return "not MatMul or Gemm by a matrix on the right"
    if node.attributes.get_int("transA", 0) != 0:
        return "its left operand is transposed"
    axis = 0 if node.attributes.get_int("transB", 0) != 0 else 1
    std, sizes = array.channel_std(axis), array.weights.shape
    if std is None:
        return "its noise differs inside a channel"
    assert x is not None
    return Product(array, x, (sizes[1 - axis], sizes[axis]), std, _added_bias(node, sizes[axis]))


def _added_bias(product: ir.Node, channels: int) -> ir.Node | None:
    """The node that adds one constant for each channel to a MatMul, and to nothing else."""
    user = only_user(product)
    if product.op_type != "MatMul" or user is None or (user[0].domain, user[0].op_type) != ("", "Add"):
        return None
    bias = user[0].inputs[1 - user[1]]
    tensor = stored_tensor(bias) if bias is not None and is_fixed(bias) else None
    return user[0] if tensor is not None and tensor.shape == (channels,) else None
