"""Activation functions, and what limits or normalizes along one axis."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import Value, is_host, on_host, scalar, tensor

register_op("Relu")(torch.relu)


@register_op("LeakyRelu")
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """X, or alpha x where it is negative."""
    return F.leaky_relu(x, alpha)


@register_op("PRelu")
def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """Leaky ReLU with slopes that broadcast; a vector that does not is taken per channel, as old exporters meant it."""
    if slope.ndim == 1 and slope.shape[0] not in (1, x.shape[-1]) and slope.shape[0] == x.shape[1]:
        slope = slope.reshape(-1, *(1,) * (x.ndim - 2))
    return torch.where(x < 0, x * slope, x)


@register_op("Elu")
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """X, or alpha (e^x - 1) where it is negative."""
    return F.elu(x, alpha)


@register_op("Selu")
def selu(x: Tensor, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Tensor:
    """Scaled exponential linear unit."""
    return gamma * F.elu(x, alpha)


@register_op("Celu")
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Continuously differentiable ELU."""
    return F.celu(x, alpha)


@register_op("Gelu")
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """Gaussian error linear unit."""
    return F.gelu(x, approximate=approximate)


@register_op("Mish")
def mish(x: Tensor) -> Tensor:
    """X tanh(softplus(x))."""
    return F.mish(x)


@register_op("Swish")
def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """X sigmoid(alpha x)."""
    return x * torch.sigmoid(alpha * x)


@register_op("Softplus")
def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x)."""
    return F.softplus(x)


@register_op("Softsign")
def softsign(x: Tensor) -> Tensor:
    """X / (1 + |x|)."""
    return F.softsign(x)


@register_op("HardSigmoid")
def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """Alpha x + beta within 0 and 1."""
    return torch.clamp(alpha * x + beta, 0, 1)


@register_op("HardSwish")
def hard_swish(x: Tensor) -> Tensor:
    """X hard_sigmoid(x), with slope 1/6."""
    return F.hardswish(x)


@register_op("ThresholdedRelu")
def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """X where it exceeds alpha, else 0."""
    return torch.where(x > alpha, x, torch.zeros_like(x))


@register_op("Shrink")
def shrink(x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """X moved towards 0 by the bias, and 0 within lambd."""
    shrunk = torch.where(x > lambd, x - bias, torch.zeros_like(x))
    return torch.where(x < -lambd, x + bias, shrunk)


@register_op("Clip", side=(1, 2))
def clip(
    x: Value, low: Value | None = None, high: Value | None = None, *, min: float | None = None, max: float | None = None
) -> Value:
    """X within limits, which are attributes before opset 11 and inputs since."""
    lower = min if low is None else low
    upper = max if high is None else high
    if is_host(x):
        least, most = -math.inf if lower is None else scalar(lower), math.inf if upper is None else scalar(upper)
        return on_host(lambda item: least if item < least else most if item > most else item, x)
    x = tensor(x)
    if lower is not None:
        x = torch.maximum(x, _limit(lower, x))
    if upper is not None:
        x = torch.minimum(x, _limit(upper, x))
    return x


def _limit(limit: Value, x: Tensor) -> Tensor:
    if isinstance(limit, Tensor):
        return limit.to(x.dtype).reshape(())
    return torch.full((), scalar(limit), dtype=x.dtype, device=x.device)


@register_op("Softmax")
def softmax(x: Tensor, *, axis: int | None = None, opset: int = 13) -> Tensor:
    """Softmax along the axis; before opset 13 over all axes from it on."""
    return _along(F.softmax, x, axis, opset)


@register_op("LogSoftmax")
def log_softmax(x: Tensor, *, axis: int | None = None, opset: int = 13) -> Tensor:
    """Logarithm of the softmax."""
    return _along(F.log_softmax, x, axis, opset)


@register_op("Hardmax")
def hardmax(x: Tensor, *, axis: int | None = None, opset: int = 13) -> Tensor:
    """1 at the first largest element, else 0."""
    return _along(_hardmax, x, axis, opset)


def _hardmax(x: Tensor, dim: int) -> Tensor:
    return torch.zeros_like(x).scatter(dim, torch.argmax(x, dim, keepdim=True), 1)


def _along(function: Callable[..., Tensor], x: Tensor, axis: int | None, opset: int) -> Tensor:
    if opset >= 13:
        return function(x, dim=-1 if axis is None else axis)
    first = 1 if axis is None else axis
    flat = x.flatten(first) if first not in (-1, x.ndim) else x
    return function(flat, dim=-1).reshape(x.shape)
