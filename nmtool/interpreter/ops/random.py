"""Random values, drawn from torch's generator: seeds in the file are not followed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import DTYPES


@register_op("RandomNormal")
def random_normal(
    *, shape: Sequence[int], dtype: int = 1, mean: float = 0.0, scale: float = 1.0, seed: float | None = None
) -> Tensor:
    """Normal values."""
    return mean + scale * torch.randn(*shape, dtype=DTYPES[dtype])


@register_op("RandomNormalLike")
def random_normal_like(
    x: Tensor, *, dtype: int | None = None, mean: float = 0.0, scale: float = 1.0, seed: float | None = None
) -> Tensor:
    """Normal values in the shape of x."""
    return mean + scale * torch.randn_like(x, dtype=x.dtype if dtype is None else DTYPES[dtype])


@register_op("RandomUniform")
def random_uniform(
    *, shape: Sequence[int], dtype: int = 1, low: float = 0.0, high: float = 1.0, seed: float | None = None
) -> Tensor:
    """Uniform values."""
    return low + (high - low) * torch.rand(*shape, dtype=DTYPES[dtype])


@register_op("RandomUniformLike")
def random_uniform_like(
    x: Tensor, *, dtype: int | None = None, low: float = 0.0, high: float = 1.0, seed: float | None = None
) -> Tensor:
    """Uniform values in the shape of x."""
    return low + (high - low) * torch.rand_like(x, dtype=x.dtype if dtype is None else DTYPES[dtype])


@register_op("Bernoulli")
def bernoulli(x: Tensor, *, dtype: int | None = None, seed: float | None = None) -> Tensor:
    """1 with probability x, else 0."""
    return torch.bernoulli(x).to(x.dtype if dtype is None else DTYPES[dtype])


@register_op("Multinomial")
def multinomial(x: Tensor, *, dtype: int = 6, sample_size: int = 1, seed: float | None = None) -> Tensor:
    """Classes drawn with the probabilities whose unnormalized logarithms are x."""
    return torch.multinomial(torch.softmax(x, -1), sample_size, replacement=True).to(DTYPES[dtype])
