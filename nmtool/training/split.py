"""Samples held out of training, to judge it by."""

import numpy as np
from numpy.typing import NDArray

from nmtool.backends import Array
from nmtool.errors import UsageError
from nmtool.training.seeds import Purpose, generator


def split(labels: Array | None, count: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide samples at random into those to train on and those to validate with.

    Class numbers (whole numbers, one per sample) are divided class by class: each class contributes its share, to
    within one sample, and keeps at least one sample in training. Where a class is too small for its share, others
    stand in. Without class numbers all samples are one class.

    Args:
        labels: of the samples, samples first, or None.
        count: number of samples; labels beyond are ignored.
        fraction: of the samples that validate, 0 <= fraction < 1; their number is rounded to nearest.
        seed: 64-bit integer of the whole training.

    Returns:
        Sorted positions of the samples in training and in validation; no validation with fraction 0.

    Raises:
        UsageError: the fraction is out of range, or there are too few samples.
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"the share of samples to validate with must be from 0 to below 1, not {fraction}")
    _, classes, sizes = np.unique(_class_numbers(labels, count), return_inverse=True, return_counts=True)
    total = round(fraction * count)
    most = count - len(sizes)
    if total > most or (fraction > 0 and total == 0):
        raise UsageError(
            f"a share of {fraction} of {count} samples in {len(sizes)} classes cannot be held out: {total}",
            hint=f"at least 1 and at most {most}: one sample of each class stays in training",
        )
    shuffled = generator(seed, Purpose.SPLIT).permutation(count)
    by_class = np.split(shuffled[np.argsort(classes[shuffled], kind="stable")], np.cumsum(sizes)[:-1])
    held_out = np.zeros(count, bool)
    for members, quota in zip(by_class, _quotas(sizes, fraction, total), strict=True):
        held_out[members[:quota]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _class_numbers(labels: Array | None, count: int) -> Array:
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "biu":
        return np.zeros(count, np.int64)
    return labels[:count]


def _quotas(sizes: NDArray[np.int64], fraction: float, total: int) -> NDArray[np.int64]:
    """Samples of each class that validate: the whole part of its share, and one more where the remainder is largest."""
    shares = fraction * sizes
    quotas = np.minimum(shares.astype(np.int64), sizes - 1)
    for _ in range(total - quotas.sum()):
        quotas[np.argmax(np.where(quotas < sizes - 1, shares - quotas, -np.inf))] += 1
    return quotas
