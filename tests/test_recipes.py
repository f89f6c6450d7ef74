"""Recipes: what is shipped, what files may say, and what is refused."""

import dataclasses

import pytest

from nmtool import recipes
from nmtool.errors import UsageError
from nmtool.recipes import Recipe


def test_the_shipped_ones_say_what_they_are():
    assert recipes.shipped().keys() == {"noise", "distill", "robust"}
    assert all(recipes.shipped().values())
    assert recipes.load("noise").alpha == 0
    assert recipes.load("distill").alpha == 1


def test_a_file_replaces_defaults(tmp_path):
    (tmp_path / "mine.toml").write_text('lr = 1\naugment = ["flip"]\nclip_per = "channel"\n')
    recipe = recipes.load(tmp_path / "mine.toml")
    assert (recipe.lr, recipe.augment, recipe.clip_per) == (1.0, ("flip",), "channel")
    assert recipe == Recipe(lr=1.0, augment=("flip",), clip_per="channel")
    assert recipes.load(recipe) is recipe


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("rate = 1", "no setting 'rate'", "known"),
        ("epoch = 1", "no setting 'epoch'", "epochs"),
        ("epochs = 0", "epochs must be at least 1", None),
        ("epochs = 1.5", "epochs must be of type int", None),
        ("epochs = true", "epochs must be of type int", None),
        ('lr = "fast"', "lr must be of type float", None),
        ("alpha = 1.5", "alpha must be from 0 to 1", None),
        ("ema = 1", "ema must be >= 0 and < 1", None),
        ("lr = nan", "lr must be a finite number > 0", None),
        ('schedule = "step"', "schedule must be one of constant, linear, cosine", None),
        ("antithetic = true", "draws must be even with antithetic draws", None),
        ("clip_start = 4", "clip_start must be 0 without clip", None),
        ("augment = 'flip'", "augment must be of type tuple", None),
        ("lr = ", "cannot read recipe", None),
    ],
)
def test_what_is_refused(tmp_path, text, message, hint):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(UsageError, match=message) as raised:
        recipes.load(tmp_path / "r.toml")
    assert "r.toml" in str(raised.value)
    assert hint is None or hint in raised.value.hint


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match="no recipe is named 'best'") as raised:
        recipes.load("best")
    assert "distill, noise, robust" in raised.value.hint


def test_every_setting_is_a_value_of_toml():
    for field in dataclasses.fields(Recipe):
        assert type(field.default) in (int, float, bool, str, tuple)
