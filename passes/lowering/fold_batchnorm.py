"""Folding BatchNormalization into the noisy convolution in front of it."""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.passes.constants import stored_tensor
from nmtool.passes.lowering.arrays import is_fixed, new_initializer, noisy_arrays, only_user


class FoldBatchNorm(ir.passes.InPlacePass):
    """Scale the array and its noise by BatchNormalization's factor of each channel, and move its offset to the bias.

    ONNX Runtime folds it into constant weights only. With s = scale / sqrt(var + epsilon),

        s (conv(x, W + sigma z) + b - mean) + bias = conv(x, s W + s sigma z) + s (b - mean) + bias:

    the same noise z, so the same values up to rounding. Computed in float64, rounded once.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold in place, wherever the convolution's output goes nowhere else."""
        folded = False
        for array in noisy_arrays(model):
            conv, user = array.node, only_user(array.node)
            if (conv.domain, conv.op_type, array.operand) != ("", "Conv", 1) or user is None or not _foldable(*user):
                continue
            norm, _ = user
            if len(conv.inputs) > 2 and conv.inputs[2] is not None and not is_fixed(conv.inputs[2]):
                continue
            scale, bias, mean, variance = (_float64(value) for value in norm.inputs[1:5])
            factor = scale / np.sqrt(variance + norm.attributes.get_float("epsilon", 1e-5))
            before = _float64(conv.inputs[2]) if len(conv.inputs) > 2 and conv.inputs[2] is not None else 0.0
            name = array.noise.inputs[0].name if array.noise.inputs[0] is not None else ""
            by_channel = factor.reshape(-1, *[1] * (array.weights.ndim - 1))
            weights, std = array.weights * by_channel, array.std * by_channel
            array.noise.replace_input_with(0, _rounded(model, f"{name}::folded", weights))
            array.noise.replace_input_with(1, _rounded(model, f"{name}::folded_std", std))
            conv.resize_inputs(3)
            conv.replace_input_with(2, _rounded(model, f"{name}::folded_bias", factor * (before - mean) + bias))
            normed = norm.outputs[0]
            conv.outputs[0].name, normed_name = None, normed.name
            normed.replace_all_uses_with(conv.outputs[0], replace_graph_outputs=True)
            conv.outputs[0].name = normed_name
            conv.outputs[0].type, conv.outputs[0].shape = normed.type, normed.shape
            model.graph.remove(norm, safe=True)
            folded = True
        return ir.passes.PassResult(model, folded)


def _foldable(norm: ir.Node, operand: int) -> bool:
    return (
        operand == 0
        and (norm.domain, norm.op_type) == ("", "BatchNormalization")
        and norm.attributes.get_int("training_mode", 0) == 0
        and norm.attributes.get_int("spatial", 1) == 1
        and not any(output.uses() or output.is_graph_output() for output in norm.outputs[1:])
        and all(is_fixed(value) for value in norm.inputs[1:5])
    )


def _float64(value: ir.Value | None) -> NDArray[np.float64]:
    tensor = None if value is None else stored_tensor(value)
    assert tensor is not None
    return np.asarray(tensor.numpy(), np.float64)


def _rounded(model: ir.Model, name: str, array: NDArray[np.float64]) -> ir.Value:
    return new_initializer(model, name, array.astype(np.float32))
