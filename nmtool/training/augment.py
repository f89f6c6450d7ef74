"""Augmentation of images: random changes that keep what an image shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nmtool.backends import Array
from nmtool.errors import UsageError
from nmtool.plugins import load_function, names_function


class Augmentation(Protocol):
    """A random change of each image of a batch, a function of its arguments alone."""

    def __call__(self, images: Array, channel_axis: int, rng: np.random.Generator) -> Array:
        """Change a batch.

        Args:
            images: floating array [N, C, H, W] or [N, H, W, C].
            channel_axis: 1 or 3.
            rng: where random numbers come from.

        Returns:
            Images of the same shape and type; the argument may have changed as well.

        Raises:
            UsageError: the images cannot be changed in this way.
        """


def flip(images: Array, channel_axis: int, rng: np.random.Generator) -> Array:
    """Mirror each image left to right with probability 1/2."""
    _, width = _pixel_axes(channel_axis)
    chosen = rng.random(len(images)) < 0.5
    return np.where(chosen[:, None, None, None], np.flip(images, width), images)


@dataclass(frozen=True)
class Crop:
    """Shift each image by up to `padding` pixels up or down, left or right; what comes in is mirrored at the edge.

    This is a window of the image's size, cut at random from the image padded by reflection.

    Attributes:
        padding: pixels on each side, at least 1.
    """

    padding: int

    def __call__(self, images: Array, channel_axis: int, rng: np.random.Generator) -> Array:
        """See Augmentation."""
        axes = _pixel_axes(channel_axis)
        height, width = (images.shape[axis] for axis in axes)
        if self.padding >= min(height, width):
            raise UsageError(
                f"crop:{self.padding} mirrors more pixels than an image has beside its edge: {height} x {width}"
            )
        margins = [(self.padding, self.padding) if axis in axes else (0, 0) for axis in range(4)]
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(images, margins, mode="reflect"), (height, width), axes
        )
        top, left = rng.integers(2 * self.padding + 1, size=(2, len(images)))
        by_place = np.moveaxis(windows, axes, (1, 2))  # [N, top, left, C, H, W]
        return np.moveaxis(by_place[np.arange(len(images)), top, left], 1, channel_axis)


@dataclass(frozen=True)
class Hook:
    """The user's own function(images, rng), which gives images of the same shape and type.

    Attributes:
        name: for messages.
        function: what is called.
    """

    name: str
    function: Callable[..., Any]

    def __call__(self, images: Array, channel_axis: int, rng: np.random.Generator) -> Array:
        """See Augmentation."""
        shape, dtype = images.shape, images.dtype
        try:
            changed = self.function(images, rng)
        except Exception as error:  # the user's code
            raise UsageError(f"{self.name} failed: {type(error).__name__}: {error}") from error
        if not isinstance(changed, np.ndarray):
            raise UsageError(f"{self.name} must give an array, not {type(changed).__name__}")
        if (changed.shape, changed.dtype) != (shape, dtype):
            raise UsageError(
                f"{self.name} must give images as it gets them, {dtype} {list(shape)}, "
                f"not {changed.dtype} {list(changed.shape)}"
            )
        if not np.isfinite(changed).all():
            raise UsageError(f"{self.name} gave images with values that are not finite")
        return changed


def parse(specs: Sequence[str]) -> tuple[Augmentation, ...]:
    """The augmentations that a user names, in that order.

    Args:
        specs: each "flip", "crop:PIXELS" or "module:function".

    Raises:
        UsageError: there is no such augmentation, or the function cannot be imported.
    """
    return tuple(_parse(spec) for spec in specs)


def _parse(spec: str) -> Augmentation:
    name, _, argument = spec.partition(":")
    if spec == "flip":
        return flip
    if name == "crop":
        if not argument.isdecimal() or int(argument) < 1:
            raise UsageError(f"crop takes a number of pixels of at least 1, as in crop:4, not {spec!r}")
        return Crop(int(argument))
    if names_function(spec):
        return Hook(spec, load_function(spec))
    raise UsageError(f"no such augmentation: {spec!r}", hint="there are: flip, crop:PIXELS, module:function")


def _pixel_axes(channel_axis: int) -> tuple[int, int]:
    """Axes of height and width."""
    return (2, 3) if channel_axis == 1 else (1, 2)
