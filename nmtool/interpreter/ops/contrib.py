"""Operators that ONNX Runtime's optimizer makes of several of ONNX: products, activations and normalization."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nmtool.interpreter.ops.activation import elu, hard_sigmoid, leaky_relu, thresholded_relu
from nmtool.interpreter.ops.convolution import conv
from nmtool.interpreter.ops.linear import gemm
from nmtool.interpreter.ops.normalization import layer_norm, rms_norm
from nmtool.interpreter.registry import register_op
from nmtool.ops.analog import MICROSOFT

_ACTIVATIONS: dict[str, Callable[..., Tensor]] = {  # what they are called with: x, then their parameters in order
    "": lambda x: x,
    "Clip": torch.clamp,
    "Elu": lambda x, alpha=1.0: elu(x, alpha=alpha),
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: hard_sigmoid(x, alpha=alpha, beta=beta),
    "LeakyRelu": lambda x, alpha=0.01: leaky_relu(x, alpha=alpha),
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Tanh": torch.tanh,
    "ThresholdedRelu": lambda x, alpha=1.0: thresholded_relu(x, alpha=alpha),
}
_contrib = partial(register_op, domain=MICROSOFT)
_fused = partial(_contrib, only={"activation": tuple(_ACTIVATIONS)})


@_fused("FusedConv")
def fused_conv(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    z: Tensor | None = None,
    *,
    activation: str = "",
    activation_params: Sequence[float] = (),
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Conv, plus z, through an activation."""
    y = conv(x, w, b, auto_pad=auto_pad, dilations=dilations, group=group, pads=pads, strides=strides)
    return _ACTIVATIONS[activation](y if z is None else y + z, *activation_params)


@_fused("FusedGemm")
def fused_gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    activation: str = "",
    activation_alpha: float | None = None,
    activation_beta: float | None = None,
    activation_gamma: float | None = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
) -> Tensor:
    """Gemm through an activation."""
    parameters = (activation_alpha, activation_beta, activation_gamma)
    y = gemm(a, b, c, alpha=alpha, beta=beta, transA=transA, transB=transB)
    return _ACTIVATIONS[activation](y, *(value for value in parameters if value is not None))


@_contrib("FusedMatMul", "TransposeMatMul")
def fused_matmul(
    a: Tensor,
    b: Tensor,
    *,
    alpha: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
    transBatchA: int = 0,  # noqa: N803
    transBatchB: int = 0,  # noqa: N803
) -> Tensor:
    """Alpha A B, each with its last two axes swapped, or its first axis moved behind the other axes of the batch."""
    return alpha * torch.matmul(_transposed(a, transA, transBatchA), _transposed(b, transB, transBatchB))


def _transposed(x: Tensor, last: int, batch: int) -> Tensor:
    if batch:
        x = x.movedim(0, -2)
    return x.transpose(-1, -2) if last and x.ndim > 1 else x


@_contrib("Gelu")
def gelu(x: Tensor) -> Tensor:
    """Gaussian error linear unit."""
    return F.gelu(x)


@_contrib("BiasGelu")
def bias_gelu(x: Tensor, bias: Tensor) -> Tensor:
    """Gelu of x + bias."""
    return F.gelu(x + bias)


@_contrib("FastGelu")
def fast_gelu(x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Gelu of x + bias, approximated by a hyperbolic tangent."""
    return F.gelu(x if bias is None else x + bias, approximate="tanh")


@_contrib("QuickGelu")
def quick_gelu(x: Tensor, *, alpha: float = 1.702) -> Tensor:
    """X sigmoid(alpha x)."""
    return x * torch.sigmoid(alpha * x)


@register_op("SimplifiedLayerNormalization", only={"stash_type": (1,)})  # ONNX Runtime has it in ONNX's own domain
def simplified_layer_norm(x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5) -> Tensor:
    """RMSNormalization, before ONNX had it."""
    return rms_norm(x, scale, axis=axis, epsilon=epsilon)


@_contrib("SkipLayerNormalization")
def skip_layer_norm(
    x: Tensor,
    skip: Tensor,
    gamma: Tensor,
    beta: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    epsilon: float = 1e-12,
    outputs: int = 1,
) -> Any:
    """Layer normalization of x + skip + bias, and that sum as the fourth output."""
    total = x + skip if bias is None else x + skip + bias
    y, mean, deviation = layer_norm(total, gamma, beta, epsilon=epsilon, outputs=3)
    return y if outputs == 1 else (y, mean, deviation, total)[:outputs]


@_contrib("SkipSimplifiedLayerNormalization")
def skip_simplified_layer_norm(
    x: Tensor, skip: Tensor, gamma: Tensor, bias: Tensor | None = None, *, epsilon: float = 1e-12, outputs: int = 1
) -> Any:
    """Division of x + skip + bias by its root mean square, and that sum as the fourth output."""
    total = x + skip if bias is None else x + skip + bias
    y = rms_norm(total, gamma, epsilon=epsilon)
    return y if outputs == 1 else (y, None, None, total)[:outputs]


@_contrib("EmbedLayerNormalization", only={"mask_index_type": (0,)})
def embed_layer_norm(
    tokens: Tensor,
    segments: Tensor | None,
    words: Tensor,
    position_table: Tensor,
    segment_table: Tensor | None,
    gamma: Tensor,
    beta: Tensor,
    mask: Tensor | None = None,
    positions: Tensor | None = None,
    *,
    epsilon: float = 1e-12,
    outputs: int = 2,
) -> Any:
    """Layer normalization of the sum of three looked-up embeddings; the second output counts what the mask leaves."""
    where = torch.arange(tokens.shape[1], device=tokens.device) if positions is None else positions
    total = F.embedding(tokens, words) + F.embedding(where, position_table)
    if segments is not None and segment_table is not None:
        total = total + F.embedding(segments, segment_table)
    y = layer_norm(total, gamma, beta, epsilon=epsilon)
    count = tokens.new_zeros(tokens.shape[0]) if mask is None else mask.sum(1, dtype=mask.dtype)
    return y if outputs == 1 else (y, count, total)[:outputs]
