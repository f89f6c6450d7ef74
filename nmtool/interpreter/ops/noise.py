"""The primitives of docs/noise-spec.md: noise on the weights of a converted model.

They are differentiable: the gradient with respect to the weights is the identity for GaussianNoise, the factor for
LognormalNoise, and zero at stuck elements for StuckFaults.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nmtool.interpreter.philox import Source, normals, uniforms
from nmtool.interpreter.registry import register_op
from nmtool.ops import DOMAIN


def gaussian_noise(x: Tensor, std: Tensor | float, source: Source, scale: Tensor | float = 1.0) -> Tensor:
    """`x + (std * scale) * z`.

    Args:
        x: floating tensor of any shape.
        std: float32, broadcastable to x; in the units of x.
        source: where z comes from.
        scale: multiplies std; a tensor where it changes in a compiled model.
    """
    return x + ((_float32(std) * _float32(scale)) * _normals_like(x, source)).to(x.dtype)


def lognormal_noise(
    x: Tensor, mean: Tensor | float, std: Tensor | float, source: Source, scale: Tensor | float = 1.0
) -> Tensor:
    """`x * exp(scale * (mean + std * z))`: mean and std are those of the logarithm of the factor, without unit."""
    exponent = _float32(scale) * (_float32(mean) + _float32(std) * _normals_like(x, source))
    return x * torch.exp(exponent).to(x.dtype)


def stuck_faults(
    x: Tensor,
    probabilities: Tensor | Sequence[float],
    values: Tensor | Sequence[float],
    source: Source,
    scale: Tensor | float = 1.0,
) -> Tensor:
    """Each element becomes values[k] with probability scale * probabilities[k], else stays.

    Args:
        x: floating tensor of any shape.
        probabilities: float32 [K], each in [0, 1].
        values: float32 [K], in the units of x.
        source: where the choice comes from.
        scale: multiplies the probabilities.
    """
    u, y = _uniforms_like(x, source), x
    each = _float32(probabilities).unbind()
    cumulated = [each[0]]
    for probability in each[1:]:  # torch.cumsum adds in float64 on a CPU
        cumulated.append(cumulated[-1] + probability)
    for threshold, value in reversed(list(zip(cumulated, _float32(values).unbind(), strict=True))):
        y = torch.where(u < _float32(scale) * threshold, value.to(x.dtype), y)
    return y


class Noise(nn.Module):
    """One application of a primitive, as `inject` puts it into a model.

    Attributes:
        seed: 64-bit seed of the model.
        stream: the physical array.
        draw: which draw on the array.
        mirrored: whether to draw the other half of an antithetic pair.
    """

    primitive: Callable[..., Tensor]

    def __init__(self, *, seed: int, stream: int, draw: int = 0, dtype: int = 0) -> None:
        """Take the attributes of the node; `dtype` is for runtimes without types at run time."""
        super().__init__()
        self.seed, self.stream, self.draw = seed, stream, draw
        self.mirrored = False

    def forward(self, weights: Tensor, *inputs: Tensor) -> Tensor:
        """The noisy weights; `inputs` are the parameters of the primitive, the trial and the scale."""
        *parameters, trial, scale = inputs
        source = Source(self.seed, self.stream, trial, self.draw, self.mirrored)
        return type(self).primitive(weights, *parameters, source, scale)


@register_op("GaussianNoise", domain=DOMAIN, frozen=range(1, 4))
class GaussianNoise(Noise):
    """`gaussian_noise` of (weights, std, trial, scale)."""

    primitive = staticmethod(gaussian_noise)


@register_op("LognormalNoise", domain=DOMAIN, frozen=range(1, 5))
class LognormalNoise(Noise):
    """`lognormal_noise` of (weights, mean, std, trial, scale)."""

    primitive = staticmethod(lognormal_noise)


@register_op("StuckFaults", domain=DOMAIN, frozen=range(1, 5))
class StuckFaults(Noise):
    """`stuck_faults` of (weights, probabilities, values, trial, scale)."""

    primitive = staticmethod(stuck_faults)


def _float32(value: Tensor | Sequence[float] | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float32)


def _normals_like(x: Tensor, source: Source) -> Tensor:
    return normals(source, x.numel(), x.device).reshape(x.shape)


def _uniforms_like(x: Tensor, source: Source) -> Tensor:
    return uniforms(source, x.numel(), x.device).reshape(x.shape)
