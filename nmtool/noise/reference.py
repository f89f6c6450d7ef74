"""The noise of docs/noise-spec.md in numpy: the reference every other implementation is tested against.

Also the generator of `bake`, so functions take a range of elements and work on one chunk at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words: TypeAlias = NDArray[np.uint32]
Float32: TypeAlias = NDArray[np.float32]
Floats: TypeAlias = NDArray[Any]
"""An array of any floating dtype, bfloat16 of ml_dtypes included."""

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_MASK32 = 0xFFFFFFFF
_GROUP = 64  # elements per group: 16 counters x 4 words


@dataclass(frozen=True)
class Source:
    """Where noise comes from: everything but the element index.

    Attributes:
        seed: 64-bit integer of the whole model.
        stream: the physical array, 0 <= stream < 2**56.
        trial: which noise sample; taken modulo 2**32.
        draw: which draw on the array, 0 <= draw < 256.
    """

    seed: int
    stream: int
    trial: int = 0
    draw: int = 0


def philox4x32(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Philox4x32-10 of Salmon et al. 2011 on arrays of counters: four uint32 words per counter."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0 = c0.astype(np.uint64) * _MULTIPLIERS[0]
        p1 = c2.astype(np.uint64) * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)).astype(np.uint32) ^ c1 ^ np.uint32(k0),
            p1.astype(np.uint32),
            (p0 >> np.uint64(32)).astype(np.uint32) ^ c3 ^ np.uint32(k1),
            p0.astype(np.uint32),
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK32, (k1 + _WEYL[1]) & _MASK32
    return c0, c1, c2, c3


def normals(source: Source, start: int, stop: int) -> Float32:
    """Standard normals of elements start <= e < stop, float32, shape [stop - start].

    Box-Muller in float64 from the exact float32 u and a of the specification, rounded once.
    """

    def box_muller(words: Words) -> Float32:
        u = (words[:, 0::2] | np.uint32(1)).astype(np.float32).astype(np.float64) * 2.0**-32
        a = words[:, 1::2].view(np.int32).astype(np.float32).astype(np.float64) * 2.0**-31
        radius = np.sqrt(-2.0 * np.log(u))
        pair = np.stack((radius * np.cos(np.pi * a), radius * np.sin(np.pi * a)), axis=2)
        return pair.astype(np.float32).reshape(words.shape)

    return _elements(source, start, stop, box_muller)


def uniforms(source: Source, start: int, stop: int) -> Float32:
    """Uniforms in [0, 1) of elements start <= e < stop, float32 with 24 random bits, shape [stop - start]."""

    def high_bits(words: Words) -> Float32:
        return (words >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)

    return _elements(source, start, stop, high_bits)


def gaussian_noise(x: Floats, std: ArrayLike, source: Source, scale: float = 1.0, start: int = 0) -> Floats:
    """`x + (std * scale) * z`; x may be a contiguous part of an array, beginning at element `start`.

    Args:
        x: floating array of any shape and dtype T.
        std: float32, broadcastable to x; in the units of x.
        source: the array's noise source.
        scale: multiplies std.
        start: element index of x's first element.
    """
    z = normals(source, start, start + x.size).reshape(x.shape)
    noise: Floats = ((_float32(std) * _float32(scale)) * z).astype(x.dtype)
    return x + noise


def lognormal_noise(
    x: Floats, mean: ArrayLike, std: ArrayLike, source: Source, scale: float = 1.0, start: int = 0
) -> Floats:
    """`x * exp(scale * (mean + std * z))`: mean and std are those of the logarithm of the factor, without unit."""
    z = normals(source, start, start + x.size).reshape(x.shape)
    factor: Floats = np.exp(_float32(scale) * (_float32(mean) + _float32(std) * z)).astype(x.dtype)
    return x * factor


def stuck_faults(
    x: Floats, probabilities: ArrayLike, values: ArrayLike, source: Source, scale: float = 1.0, start: int = 0
) -> Floats:
    """Each element becomes values[k] with probability scale * probabilities[k], else stays.

    Args:
        x: floating array of any shape.
        probabilities: float32 [K], each in [0, 1].
        values: float32 [K], in the units of x.
        source: the array's noise source.
        scale: multiplies the probabilities.
        start: element index of x's first element.
    """
    u = uniforms(source, start, start + x.size).reshape(x.shape)
    thresholds = _float32(scale) * np.cumsum(_float32(probabilities), dtype=np.float32)
    conditions = [u < threshold for threshold in thresholds]
    return np.select(conditions, [x.dtype.type(v) for v in _float32(values)], default=x)


def _float32(value: ArrayLike) -> Float32:
    return np.asarray(value, np.float32)


def _elements(source: Source, start: int, stop: int, transform: Callable[[Words], Float32]) -> Float32:
    """Apply `transform` to the words [groups, 4, 16] that cover the elements, and cut out start..stop."""
    first_group, end_group = start // _GROUP, -(-stop // _GROUP)
    block = np.arange(first_group * 16, end_group * 16, dtype=np.uint64).astype(np.uint32)
    seed = source.seed % 2**64
    words = philox4x32(
        (
            block,
            np.full_like(block, source.trial % 2**32),
            np.full_like(block, source.stream & _MASK32),
            np.full_like(block, (source.stream >> 32) << 8 | source.draw),
        ),
        (seed & _MASK32, seed >> 32),
    )
    grouped = np.stack([word.reshape(-1, 16) for word in words], axis=1)
    return transform(grouped).reshape(-1)[start - first_group * _GROUP : stop - first_group * _GROUP]
