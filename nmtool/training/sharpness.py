"""Sharpness-aware steps: the gradient at the worst point near the weights, instead of the one at the weights."""

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn


@contextlib.contextmanager
@torch.no_grad()
def ascended(parameters: Iterable[Tensor], radius: float) -> Iterator[None]:
    """Weights moved uphill while this context is open: by radius * g / |g|, with g their gradient as it is now.

    Where the loss is linear that is the worst point at this distance: equation 2 of Foret et al. 2021,
    "Sharpness-Aware Minimization" (arXiv:2010.01412).

    Args:
        parameters: with gradients; those without stay.
        radius: Euclidean distance, over all parameters together, > 0.
    """
    gradients = [(each, each.grad) for each in parameters if each.grad is not None]
    norm = nn.utils.get_total_norm([gradient for _, gradient in gradients])
    before = [each.clone() for each, _ in gradients]
    for each, gradient in gradients:
        each.add_(gradient * (radius / norm.clamp_min(torch.finfo(norm.dtype).tiny)))
    try:
        with torch.enable_grad():
            yield
    finally:
        for (each, _), weights in zip(gradients, before, strict=True):
            each.copy_(weights)
