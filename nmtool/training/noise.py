"""The noise of docs/noise-spec.md in torch, on any device, for training under the noise that `inject` stores.

The primitives are compositions of differentiable operators: the gradient with respect to the weights is the identity
for GaussianNoise, the factor for LognormalNoise, and zero at stuck elements for StuckFaults.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from nmtool.errors import UsageError
from nmtool.noise.base import Parameter, Stage, Unit


@dataclass(frozen=True, eq=False)
class Source:
    """Where exact noise comes from: that of nmtool.noise.reference, with a trial that may be a tensor.

    Attributes:
        seed: 64-bit integer of the whole model.
        stream: the physical array, 0 <= stream < 2**56.
        trial: which noise sample, taken modulo 2**32; an int64 tensor of shape () where it changes from step to step of
            a compiled model, which every new integer would compile again.
        draw: which draw on the array, 0 <= draw < 256.
    """

    seed: int
    stream: int
    trial: int | Tensor = 0
    draw: int = 0


Draws: TypeAlias = Source | torch.Generator | None
"""Where random numbers come from.

- A Source: the exact numbers of the specification, those that `bake` freezes and every runtime computes. About 20 ns
  per normal on a CPU core and 0.4 ms per array; 7 ns compiled.
- A torch generator, or None for torch's default one: the same distribution, other numbers, 4 ns per normal.
"""

Words: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_MASK32 = 0xFFFFFFFF
_GROUP = 64  # elements per group: 16 counters x 4 words
_CHUNK = {"cpu": 1 << 16, "cuda": 1 << 23}  # elements drawn at a time: temporaries stay in cache, and small


def philox4x32(counter: Words, key: tuple[int, int]) -> Words:
    """Philox4x32-10 on int64 tensors that hold 32-bit words; the words of the counter broadcast.

    A product of two words needs 64 bits without sign. int64 arithmetic wraps around, so its bits are right, and the
    mask takes off what the arithmetic shift copies from the sign.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (p1 >> 32) & _MASK32 ^ c1 ^ k0,
            p1 & _MASK32,
            (p0 >> 32) & _MASK32 ^ c3 ^ k1,
            p0 & _MASK32,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK32, (k1 + _WEYL[1]) & _MASK32
    return c0, c1, c2, c3


def normals(source: Source, size: int, device: torch.device | str = "cpu") -> Tensor:
    """Standard normals of elements 0 <= e < size, float32.

    Box-Muller in float64 from the exact float32 u and a of the specification, rounded once.
    """

    def box_muller(words: Tensor) -> Tensor:
        u = (words[:, 0::2] | 1).float().double() * 2.0**-32
        a = words[:, 1::2]
        a = (a - ((a & 0x80000000) << 1)).float().double() * 2.0**-31
        radius, angle = torch.sqrt(-2.0 * torch.log(u)), torch.pi * a
        return torch.stack((radius * torch.cos(angle), radius * torch.sin(angle)), dim=2).float()

    return _elements(source, size, device, box_muller)


def uniforms(source: Source, size: int, device: torch.device | str = "cpu") -> Tensor:
    """Uniforms in [0, 1) of elements 0 <= e < size, float32 with 24 random bits."""
    return _elements(source, size, device, lambda words: (words >> 8).float() * 2.0**-24)


def gaussian_noise(x: Tensor, std: Tensor | float, draws: Draws, scale: Tensor | float = 1.0) -> Tensor:
    """`x + (std * scale) * z`.

    Args:
        x: floating tensor of any shape.
        std: float32, broadcastable to x; in the units of x.
        draws: where z comes from.
        scale: multiplies std; a tensor where it changes in a compiled model.
    """
    return x + ((_float32(std) * _float32(scale)) * _normals_like(x, draws)).to(x.dtype)


def lognormal_noise(
    x: Tensor, mean: Tensor | float, std: Tensor | float, draws: Draws, scale: Tensor | float = 1.0
) -> Tensor:
    """`x * exp(scale * (mean + std * z))`: mean and std are those of the logarithm of the factor, without unit."""
    exponent = _float32(scale) * (_float32(mean) + _float32(std) * _normals_like(x, draws))
    return x * torch.exp(exponent).to(x.dtype)


def stuck_faults(
    x: Tensor,
    probabilities: Tensor | Sequence[float],
    values: Tensor | Sequence[float],
    draws: Draws,
    scale: Tensor | float = 1.0,
) -> Tensor:
    """Each element becomes values[k] with probability scale * probabilities[k], else stays.

    Args:
        x: floating tensor of any shape.
        probabilities: float32 [K], each in [0, 1].
        values: float32 [K], in the units of x.
        draws: where the choice comes from.
        scale: multiplies the probabilities.
    """
    u, y = _uniforms_like(x, draws), x
    each = _float32(probabilities).unbind()
    cumulated = [each[0]]
    for probability in each[1:]:  # torch.cumsum adds in float64 on a CPU
        cumulated.append(cumulated[-1] + probability)
    for threshold, value in reversed(list(zip(cumulated, _float32(values).unbind(), strict=True))):
        y = torch.where(u < _float32(scale) * threshold, value.to(x.dtype), y)
    return y


_PRIMITIVES: dict[str, Callable[..., Tensor]] = {
    "GaussianNoise": gaussian_noise,
    "LognormalNoise": lognormal_noise,
    "StuckFaults": stuck_faults,
}


@dataclass(frozen=True)
class Statistics:
    """Statistics of weights as they are now, without gradient: what the parameters of a noise model are relative to.

    Attributes:
        weights: the clean weights, at least one.
        channel_axis: axis of the output channels, for statistics per channel; None for the whole array.
        groups: the first axis is split in this many groups that do not share channels (a grouped ConvTranspose).
    """

    weights: Tensor
    channel_axis: int | None = None
    groups: int = 1

    def unit(self, unit: Unit) -> Tensor:
        """The size of `unit`, float64, of shape () or broadcastable to the weights; computed when asked for."""
        with torch.no_grad():
            weights = self.weights.detach()
            split = weights.reshape(self.groups, -1, *weights.shape[1:], 1)  # so that there always is an axis to reduce
            kept = () if self.channel_axis is None else (0, self.channel_axis + 1)
            axes = tuple(axis for axis in range(split.ndim) if axis not in kept)
            whole = self.channel_axis is None
            minimum, maximum = split.aminmax() if whole else (split.amin(axes, True), split.amax(axes, True))
            minimum, maximum = minimum.double(), maximum.double()
            if unit == "one":
                size = torch.ones_like(maximum)
            elif unit == "range":
                size = maximum - minimum
            elif unit == "max":
                size = torch.maximum(minimum.abs(), maximum.abs())
            else:
                spread = split.double().std(axes, correction=0, keepdim=not whole)
                size = torch.where(maximum > minimum, spread, 0)
            if whole:
                return size
            size = size.repeat_interleave(split.shape[1], dim=1) if self.groups > 1 else size
            return size.reshape(-1, *size.shape[2:-1])


def apply_stages(
    weights: Tensor, stages: Sequence[Stage], statistics: Statistics, draws: Draws, scale: Tensor | float = 1.0
) -> Tensor:
    """The weights with the noise of a model's stages, in order; differentiable with respect to the weights.

    Args:
        weights: the clean weights.
        stages: of a noise model; stage k is draw k of the source.
        statistics: of the clean weights, which size every stage.
        draws: where the random numbers come from.
        scale: what `noise_scale` is to an injected model.

    Raises:
        UsageError: stuck faults with statistics per channel.
    """
    noisy = weights
    for draw, stage in enumerate(stages):
        parameters = [_resolve(parameter, statistics) for parameter in stage.parameters]
        numbers = replace(draws, draw=draw) if isinstance(draws, Source) else draws
        noisy = _PRIMITIVES[stage.primitive](noisy, *parameters, numbers, scale)
    return noisy


def _resolve(parameter: Parameter, statistics: Statistics) -> Tensor:
    """The parameter in weight units, float32; the torch twin of Parameter.resolve."""
    if isinstance(parameter.value, tuple) and statistics.channel_axis is not None:
        raise UsageError("stuck faults have no per-channel form", hint="drop --per-channel")
    unit = statistics.unit(parameter.unit)
    if isinstance(parameter.value, tuple):
        return (torch.tensor(parameter.value, dtype=torch.float64, device=unit.device) * unit).float()
    return (parameter.value * unit).float()


def _float32(value: Tensor | Sequence[float] | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float32)


def _normals_like(x: Tensor, draws: Draws) -> Tensor:
    if isinstance(draws, Source):
        return normals(draws, x.numel(), x.device).reshape(x.shape)
    return torch.randn(x.shape, generator=draws, dtype=torch.float32, device=x.device)


def _uniforms_like(x: Tensor, draws: Draws) -> Tensor:
    if isinstance(draws, Source):
        return uniforms(draws, x.numel(), x.device).reshape(x.shape)
    return torch.rand(x.shape, generator=draws, dtype=torch.float32, device=x.device)


def _elements(source: Source, size: int, device: torch.device | str, transform: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply `transform` to the words [groups, 4, 16] of the elements, a chunk at a time; a compiler fuses it anyway."""
    device = torch.device(device)
    numbers = torch.empty(size, dtype=torch.float32, device=device)
    chunk = max(size, 1) if torch.compiler.is_compiling() else _CHUNK.get(device.type, 1 << 20)
    for start in range(0, size, chunk):
        stop = min(start + chunk, size)
        words = _words(source, start // _GROUP, -(-stop // _GROUP), device)
        numbers[start:stop] = transform(words).reshape(-1)[: stop - start]
    return numbers


def _words(source: Source, first_group: int, end_group: int, device: torch.device) -> Tensor:
    """The random words of some groups, int64 [groups, 4, 16]."""
    seed = source.seed % 2**64
    block = torch.arange(first_group * 16, end_group * 16, device=device)
    others = (source.trial % 2**32, source.stream & _MASK32, (source.stream >> 32) << 8 | source.draw)
    counter = [torch.as_tensor(word, dtype=torch.int64) for word in others]
    words = philox4x32((block, counter[0], counter[1], counter[2]), (seed & _MASK32, seed >> 32))
    return torch.stack([word.reshape(-1, 16) for word in words], dim=1)
