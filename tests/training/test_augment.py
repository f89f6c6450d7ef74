"""Augmentations against their definitions, image by image, and what users may get wrong."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from nmtool.errors import UsageError
from nmtool.training.augment import Crop, Hook, flip, parse

BATCHES = st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(3, 7), st.integers(3, 7))
SEEDS = st.integers(0, 2**32)


def images(shape: tuple[int, ...], dtype: object = np.float32) -> np.ndarray:
    """Images [N, C, H, W] whose values are all different."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def applied(augmentation, batch: np.ndarray, seed: int, axis: int = 1) -> np.ndarray:
    """What becomes of images [N, C, H, W] when the channels are put on an axis, as [N, C, H, W] again."""
    changed = augmentation(np.moveaxis(batch, 1, axis).copy(), axis, np.random.default_rng(seed))
    assert changed.dtype == batch.dtype
    return np.moveaxis(changed, axis, 1)


@given(BATCHES, SEEDS, st.sampled_from([1, 3]))
def test_a_flip_mirrors_columns_or_nothing(shape, seed, axis):
    batch = images(shape)
    for before, after in zip(batch, applied(flip, batch, seed, axis), strict=True):
        assert (after == before).all() or (after == before[:, :, ::-1]).all()


@given(BATCHES, SEEDS, st.sampled_from([1, 3]), st.sampled_from([np.float16, np.float32, np.float64]), st.data())
def test_a_crop_is_a_window_of_the_padded_image(shape, seed, axis, dtype, draw):
    height, width = shape[2:]
    pixels = draw.draw(st.integers(1, min(height, width) - 1))
    batch = images(shape, dtype)
    for before, after in zip(batch, applied(Crop(pixels), batch, seed, axis), strict=True):
        padded = np.pad(before, ((0, 0), (pixels, pixels), (pixels, pixels)), mode="reflect")
        places = [(top, left) for top in range(2 * pixels + 1) for left in range(2 * pixels + 1)]
        assert any((after == padded[:, top : top + height, left : left + width]).all() for top, left in places)


def test_each_image_gets_its_own_of_all_possible_changes():
    batch = np.broadcast_to(images((1, 1, 4, 4)), (2000, 1, 4, 4))
    for augmentation, possible in ((flip, 2), (Crop(1), 9)):
        _, counts = np.unique(applied(augmentation, batch, 0), axis=0, return_counts=True)
        assert len(counts) == possible
        np.testing.assert_allclose(counts / 2000, 1 / possible, atol=0.05)  # 4 standard errors


@given(BATCHES, SEEDS)
def test_the_layout_changes_nothing(shape, seed):
    for augmentation in (flip, Crop(2)):
        one, other = (applied(augmentation, images(shape), seed, axis) for axis in (1, 3))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(2, 3, 4, 9), (2, 3, 9, 4)])
def test_a_crop_is_smaller_than_the_image(shape):
    assert applied(Crop(3), images(shape), 0).shape == shape
    with pytest.raises(UsageError, match=f"crop:4 .*: {shape[2]} x {shape[3]}"):
        applied(Crop(4), images(shape), 0)


def test_specs(tmp_path, monkeypatch):
    (tmp_path / "hooks_of_the_user.py").write_text("def darker(images, rng):\n    return images * rng.random()\n")
    monkeypatch.chdir(tmp_path)
    assert parse([]) == ()
    assert parse(["crop:12", "flip"]) == (Crop(12), flip)
    (hook,) = parse(["hooks_of_the_user:darker"])
    batch = images((2, 3, 4, 5), np.float64)
    np.testing.assert_array_equal(applied(hook, batch, 7), batch * np.random.default_rng(7).random())


@pytest.mark.parametrize("spec", ["", "rotate", "flip:3", "module:", ":function"])
def test_specs_that_mean_nothing(spec):
    with pytest.raises(UsageError, match=f"no such augmentation: '{spec}'") as caught:
        parse(["flip", spec])
    assert caught.value.hint == "there are: flip, crop:PIXELS, module:function"


@pytest.mark.parametrize("spec", ["crop", "crop:", "crop:0", "crop:-1", "crop:1.5", "crop:four"])
def test_crops_by_no_number_of_pixels(spec):
    with pytest.raises(UsageError, match=f"crop takes a number of pixels .* not '{spec}'"):
        parse([spec])


def test_a_function_that_is_not_there():
    with pytest.raises(UsageError, match="cannot import 'missing_module'"):
        parse(["missing_module:f"])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda images, rng: images[:1], r"mine must give .* float32 \[2, 3, 4, 5\], not float32 \[1, 3, 4, 5\]"),
        (lambda images, rng: images.astype(float), r"not float64 \[2, 3, 4, 5\]"),
        (lambda images, rng: None, "mine must give an array, not NoneType"),
        (lambda images, rng: images / np.float32("inf") * np.float32("inf"), "mine gave .* not finite"),
        (lambda images: images, "mine failed: TypeError"),
        (lambda images, rng: {}["key"], "mine failed: KeyError: 'key'"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_hooks_that_go_wrong(function, message):
    with pytest.raises(UsageError, match=message):
        applied(Hook("mine", function), images((2, 3, 4, 5)), 0)
