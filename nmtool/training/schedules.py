"""What changes during training, as functions of how much of it is done."""

import math

from nmtool.recipes import Recipe
from nmtool.training.seeds import Purpose, generator


def learning_rate(recipe: Recipe, done: float) -> float:
    """The learning rate when the share `done` of the training is done, 0 <= done < 1."""
    if done < recipe.warmup:
        return recipe.lr * done / recipe.warmup
    left = 1 - (done - recipe.warmup) / (1 - recipe.warmup)
    factor = {"constant": 1.0, "linear": left, "cosine": (1 - math.cos(math.pi * left)) / 2}[recipe.schedule]
    return recipe.lr * factor


def strength(recipe: Recipe, eta: float, done: float, seed: int, step: int) -> float:
    """The strength of the noise in a step.

    "random" is |N(eta, (spread eta)^2)|, as in variance-aware training (Wang 2025, arXiv:2503.16183).

    Args:
        recipe: which schedule.
        eta: what the model shall bear.
        done: share of the training.
        seed: of the whole training.
        step: number of the step.
    """
    full = recipe.eta_factor * eta
    if recipe.eta_schedule == "random":
        return abs(full * (1 + recipe.eta_spread * generator(seed, Purpose.STRENGTH, step).standard_normal()))
    rising = recipe.eta_schedule == "ramp" and done < recipe.eta_ramp
    return full * done / recipe.eta_ramp if rising else full


def clip_limit(recipe: Recipe, done: float) -> float:
    """The limit of the weights in standard deviations of the original ones; 0 for none."""
    if not recipe.clip_start:
        return recipe.clip
    return recipe.clip_start + (recipe.clip - recipe.clip_start) * min(2 * done, 1)
