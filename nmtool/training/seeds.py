"""Where the random numbers of training data come from: a pure function, so that nothing has to be saved or sent."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What random numbers are for; the numbers of two purposes are independent."""

    SPLIT = 0
    ORDER = 1
    AUGMENTATION = 2
    DROPOUT = 3
    STRENGTH = 4
    TRAINING_NOISE = 5
    VALIDATION_NOISE = 6
    TIME = 7


def generator(seed: int, purpose: Purpose, number: int = 0) -> np.random.Generator:
    """A generator of its own for each purpose and number.

    Args:
        seed: 64-bit integer of the whole training.
        purpose: what the numbers are for.
        number: which epoch or micro-batch, from 0.
    """
    sequence = np.random.SeedSequence(seed % 2**64, spawn_key=(purpose, number))
    return np.random.Generator(np.random.Philox(sequence))


def derived(seed: int, purpose: Purpose, number: int = 0) -> int:
    """A seed of 63 bits for a generator that is not numpy's; see `generator`."""
    return int(generator(seed, purpose, number).integers(2**63))
