"""What operators on analog arrays compute, in plain numpy: vectors out of images, tiles in loops, in float64."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from nmtool.hardware.periphery import Converter, Periphery
from nmtool.noise.slicing import Slicing

Float = NDArray[np.float64]


def converted(x: Float, converter: Converter | None, limit: Float | float) -> Float:
    """The transfer curve of a converter, from its definition."""
    if converter is None:
        return x
    lowest = -limit if converter.signed else 0 * limit
    limited = np.clip(x, lowest, limit)
    if converter.bits is None:
        return limited
    width = 2 * limit / (2**converter.bits - 2) if converter.signed else limit / (2**converter.bits - 1)
    return np.rint(limited / width) * width


def digits(x: Float, levels: int, bits: int) -> list[tuple[float, Float]]:
    """Numbers n / levels as [(weight, full-scale digits)], which add up to them."""
    n, found, power = np.rint(x * levels).astype(int), [], 1
    while power <= levels:
        digit = np.sign(n) * (abs(n) // power % 2**bits)
        found.append((power * (2**bits - 1) / levels, digit / (2**bits - 1)))
        power *= 2**bits
    return found


def windows(x: Float, kernel: tuple[int, ...], strides: int, dilation: int, pad: int, groups: int) -> Float:
    """[B, C, *S] as the vectors [B, P, G, C / G, k] of a convolution."""
    spatial = len(kernel)
    padded = np.pad(x, [(0, 0), (0, 0), *[(pad, pad)] * spatial])
    reach = [(k - 1) * dilation + 1 for k in kernel]
    starts = product(*(range(0, size - r + 1, strides) for size, r in zip(padded.shape[2:], reach, strict=True)))
    cuts = [padded[(..., *(slice(s, s + r, dilation) for s, r in zip(start, reach, strict=True)))] for start in starts]
    stacked = np.stack(cuts, 1)
    return stacked.reshape(*stacked.shape[:2], groups, x.shape[1] // groups, -1)


def stuffed(x: Float, strides: int) -> Float:
    """[B, C, *S] with strides - 1 zeros between neighbours: what a transposed convolution convolves."""
    y = np.zeros((*x.shape[:2], *((size - 1) * strides + 1 for size in x.shape[2:])))
    y[(..., *[slice(None, None, strides)] * (x.ndim - 2))] = x
    return y


def on_tiles(
    vectors: Float,
    matrix: Float,
    periphery: Periphery,
    *,
    full: Float | float,
    limit: float,
    slicing: Slicing | None = None,
) -> Float:
    """Vectors [B, P, G, C, k] times matrices [G, C, k, M]: [B, P, G, M].

    Args:
        vectors: inputs of the arrays.
        matrix: what they hold.
        periphery: what is around them; noise is left out.
        full: range of the inputs, a number or one for each sample [B, 1, 1, 1, 1].
        limit: range of the outputs.
        slicing: of the weights; scaled by the largest of all.
    """
    channels, positions = matrix.shape[1:3]
    capacity = (periphery.tile.rows or channels * positions) // positions
    tiles = -(-channels // capacity)
    depth = -(-channels // tiles)
    x = converted(vectors, periphery.input, full)
    passes = [(1.0, x)]
    if periphery.serial:
        assert periphery.input is not None
        levels = periphery.input.levels or 0
        passes = [(factor, digit * full) for factor, digit in digits(x / full, levels, periphery.serial)]
    largest = np.abs(matrix).max()
    slices = [(1.0, matrix)]
    if slicing is not None:
        slices = [(f, d * largest) for f, d in digits(matrix / largest, slicing.levels, slicing.per_slice)]
    y = np.zeros((*vectors.shape[:3], matrix.shape[-1]))
    for (f, x), (h, w) in product(passes, slices):
        for start in range(0, channels, depth):
            rows = slice(start, start + depth)
            partial = np.einsum("bpgck,gckm->bpgm", x[:, :, :, rows], w[:, rows])
            y += f * h * converted(partial, periphery.output, limit)
    return y
