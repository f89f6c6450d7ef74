"""Normalization and dropout."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import scalar


@register_op("BatchNormalization", state=(3, 4), only={"spatial": (1,), "is_test": (0, 1), "training_mode": (0, 1)})
class BatchNorm(nn.Module):
    """Batch normalization; in training by the batch's statistics, which also update the running ones.

    The file's `training_mode` is ignored: the mode is the module's. The momentum is torch's, 1 - ONNX's. Statistics
    that the model computes itself (layer normalization by some exporters) are no state: they are used as they come.
    """

    def __init__(
        self, *, epsilon: float = 1e-5, momentum: float = 0.9, outputs: int = 1, stateful: bool = True
    ) -> None:
        super().__init__()
        self.epsilon, self.momentum, self.outputs, self.stateful = epsilon, 1 - momentum, outputs, stateful

    def forward(self, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Any:
        """The normalized x and, where the node has more outputs, the running statistics."""
        if self.stateful:
            y = F.batch_norm(x, mean, var, scale, bias, self.training, self.momentum, self.epsilon)
        else:
            shape = (-1, *(1,) * (x.ndim - 2))
            factor = scale * torch.rsqrt(var + self.epsilon)
            y = x * factor.reshape(shape) + (bias - mean * factor).reshape(shape)
        return y if self.outputs == 1 else (y, mean, var, mean, var)[: self.outputs]


@register_op("Dropout", side=(1, 2), only={"is_test": (0, 1)})
class Dropout(nn.Module):
    """Dropout in training, the identity otherwise."""

    def __init__(self, *, ratio: float = 0.5, seed: int | None = None, outputs: int = 1) -> None:
        super().__init__()
        self.ratio, self.outputs = ratio, outputs

    def forward(self, x: Tensor, ratio: Any = None, training_mode: Any = None) -> Any:
        """The input with elements dropped, and the mask of those kept where the node has that output."""
        share = self.ratio if ratio is None else scalar(ratio)
        if self.outputs == 1:
            return F.dropout(x, share, self.training)
        mask = torch.rand_like(x) >= share if self.training else torch.ones_like(x, dtype=torch.bool)
        return (x * mask / (1 - share) if self.training else x), mask


@register_op("InstanceNormalization")
def instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Normalization of each channel of each sample."""
    axes = tuple(range(2, x.ndim))
    var, mean = torch.var_mean(x, dim=axes, correction=0, keepdim=True)
    shape = (-1, *(1,) * (x.ndim - 2))
    return (x - mean) * torch.rsqrt(var + epsilon) * scale.reshape(shape) + bias.reshape(shape)


@register_op("GroupNormalization", only={"stash_type": (1,)})
def group_norm(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5, opset: int = 21
) -> Tensor:
    """Normalization of groups of channels; scale and bias are per group before opset 21."""
    if opset < 21:
        repeat = x.shape[1] // num_groups
        scale, bias = scale.repeat_interleave(repeat), bias.repeat_interleave(repeat)
    return F.group_norm(x, num_groups, scale, bias, epsilon)


@register_op("LayerNormalization", only={"stash_type": (1,)})
def layer_norm(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, *, axis: int = -1, epsilon: float = 1e-5, outputs: int = 1
) -> Any:
    """Normalization over the axes from `axis` on."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    var, mean = torch.var_mean(wide, dim=axes, correction=0, keepdim=True)
    deviation = torch.rsqrt(var + epsilon)
    y = ((wide - mean) * deviation).to(x.dtype) * scale
    y = y if bias is None else y + bias
    return y if outputs == 1 else (y, mean, deviation)[:outputs]


@register_op("RMSNormalization", only={"stash_type": (1,)})
def rms_norm(x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5) -> Tensor:
    """Division by the root mean square over the axes from `axis` on."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    return (wide * torch.rsqrt((wide * wide).mean(dim=axes, keepdim=True) + epsilon)).to(x.dtype) * scale


@register_op("LRN")
def local_response_norm(x: Tensor, *, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, size: int) -> Tensor:
    """Division by the energy of neighbouring channels."""
    square = F.pad((x * x).unsqueeze(1).flatten(3), (0, 0, (size - 1) // 2, size // 2))
    energy = F.avg_pool2d(square, (size, 1), 1).squeeze(1).reshape(x.shape)
    return x / (bias + alpha * energy) ** beta


@register_op("LpNormalization")
def lp_norm(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """Division by the p-norm along the axis; 0 stays 0."""
    norm = torch.linalg.vector_norm(x, p, dim=axis, keepdim=True)
    return x / torch.where(norm == 0, torch.ones_like(norm), norm)


@register_op("MeanVarianceNormalization")
def mean_variance_norm(x: Tensor, *, axes: Sequence[int] = (0, 2, 3)) -> Tensor:
    """Zero mean and unit variance over the axes."""
    var, mean = torch.var_mean(x, dim=tuple(axes), correction=0, keepdim=True)
    return (x - mean) / (torch.sqrt(var) + 1e-9)
