"""What changes in the course of a training."""

import numpy as np
import pytest

from nmtool.recipes import Recipe
from nmtool.training.schedules import clip_limit, learning_rate, strength


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_learning_rate_rises_in_the_warmup_and_then_falls_to_0(schedule):
    recipe = Recipe(lr=0.4, schedule=schedule, warmup=0.25)
    assert learning_rate(recipe, 0.0) == 0
    assert learning_rate(recipe, 0.125) == pytest.approx(0.2)
    assert learning_rate(recipe, 0.25) == pytest.approx(0.4)
    middle = learning_rate(recipe, 0.625)
    assert middle == pytest.approx(0.4 if schedule == "constant" else 0.2)
    if schedule != "constant":
        assert learning_rate(recipe, 1 - 1e-9) == pytest.approx(0, abs=1e-6)


def test_a_constant_strength_is_a_multiple_of_eta():
    assert strength(Recipe(eta_factor=1.5), 0.04, 0.3, 0, 7) == pytest.approx(0.06)


def test_a_ramp_starts_at_0_and_ends_at_full_strength():
    recipe = Recipe(eta_schedule="ramp", eta_ramp=0.5)
    values = [strength(recipe, 0.1, done, 0, 0) for done in (0.0, 0.25, 0.5, 0.9)]
    assert values == pytest.approx([0, 0.05, 0.1, 0.1])


def test_random_strengths_have_the_spread_and_repeat():
    recipe = Recipe(eta_schedule="random", eta_spread=0.2)
    values = np.array([strength(recipe, 0.1, 0.0, 3, step) for step in range(4000)])
    # five standard errors of a mean and of a standard deviation: a false alarm in some 10^6
    assert abs(values.mean() - 0.1) < 5 * 0.02 / np.sqrt(4000)
    assert abs(values.std() - 0.02) < 5 * 0.02 / np.sqrt(8000)
    assert strength(recipe, 0.1, 0.0, 3, 17) == values[17]
    assert strength(recipe, 0.1, 0.0, 4, 17) != values[17]
    assert min(strength(Recipe(eta_schedule="random", eta_spread=2.0), 0.1, 0, 0, step) for step in range(100)) >= 0


def test_a_limit_moves_in_the_first_half():
    recipe = Recipe(clip=2.0, clip_start=4.0)
    assert [clip_limit(recipe, done) for done in (0.0, 0.25, 0.5, 1.0)] == [4, 3, 2, 2]
    assert clip_limit(Recipe(clip=2.0), 0.1) == 2
    assert clip_limit(Recipe(), 0.1) == 0
