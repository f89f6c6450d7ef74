"""Encoded images as samples, and a folder of them with one sub-folder per class."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

from nmtool.backends import Array
from nmtool.errors import SetupError, UsageError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Part:
    """An image that is a part of another file.

    Attributes:
        archive: that file.
        offset: where its content begins, bytes.
        size: bytes.
    """

    archive: Path
    offset: int
    size: int

    def __str__(self) -> str:
        return f"at byte {self.offset} of {self.archive}"

    def read_bytes(self) -> bytes:
        """The content, as Path.read_bytes."""
        with self.archive.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


Encoded: TypeAlias = Path | Part
"""An image in its file format; as text it says where."""


@dataclass(frozen=True)
class Images:
    """Encoded images and their classes.

    Attributes:
        files: the images, in the order of the samples.
        labels: class number of each, int64 [samples]; None: they have none.
    """

    files: Sequence[Encoded]
    labels: Array | None

    def samples(self, size: tuple[int, int] | None, channels: int) -> "ImageSamples":
        """The images as an array that is decoded when indexed.

        Args:
            size: height and width in pixels that every image is resized to; None: they all have the first one's.
            channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        """
        if channels not in _MODES:
            raise UsageError(f"images have 1, 3 or 4 channels; the model wants {channels}")
        first = _read(self.files[0], size, channels)
        return ImageSamples(self.files, (len(self.files), *first.shape), size)


def open_folder(folder: Path) -> Images:
    """List the images of `folder/<class>/*`, classes numbered in sorted order.

    The classes take turns (first image of each class, second image of each, …), so the first n samples are balanced.

    Raises:
        UsageError: there is no sub-folder with images.
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    listed = [
        [(path, number) for path in sorted(each.iterdir()) if path.suffix.lower() in SUFFIXES]
        for number, each in enumerate(classes)
    ]
    pairs = [pair for turn in zip_longest(*listed) for pair in turn if pair is not None]
    if not pairs:
        raise UsageError(
            f"no images in {folder}", hint="put them into one sub-folder per class, or into .tar files of samples"
        )
    return Images([path for path, _ in pairs], np.array([number for _, number in pairs], np.int64))


@dataclass(frozen=True)
class ImageSamples:
    """Images as samples: uint8 [samples, height, width, channels], 0 to 255.

    Attributes:
        files: one image each.
        shape: of all of them.
        size: height and width to resize to (bilinear, the whole image); None: as they are.
    """

    files: Sequence[Encoded]
    shape: tuple[int, ...]
    size: tuple[int, int] | None
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.uint8)

    def __getitem__(self, key: slice | Array) -> Array:
        """Decode some images: a slice, or those at the positions of an int64 array.

        Raises:
            UsageError: a file is not an image, or has another size than the first and no size was given.
        """
        images = []
        for path in self._chosen(key):
            image = _read(path, self.size, self.shape[-1])
            if image.shape != self.shape[1:]:
                want, have = (f"{h} x {w}" for h, w in (self.shape[1:3], image.shape[:2]))
                raise UsageError(
                    f"{path} has {have} pixels, the first image has {want}", hint="give a size to resize to"
                )
            images.append(image)
        return np.stack(images)

    def stored(self, count: int) -> Iterator[bytes]:
        """What the first images are computed from: how they are read, and their bytes in the file format."""
        yield f"{self.shape[1:]} {self.size}".encode()
        for position in range(count):
            yield self.files[position].read_bytes()

    def _chosen(self, key: slice | Array) -> Sequence[Encoded]:
        return self.files[key] if isinstance(key, slice) else [self.files[position] for position in key]


def _read(path: Encoded, size: tuple[int, int] | None, channels: int) -> Array:
    try:
        from PIL import Image
    except ImportError as error:
        raise SetupError("reading images needs Pillow", hint="pip install 'nmtool[images]'") from error
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as file:
            image = file.convert(_MODES[channels])
    except (OSError, ValueError) as error:  # Pillow's, for files and for headers that cannot be meant
        raise UsageError(f"cannot read image {path}: {error}") from error
    if size is not None and (image.height, image.width) != size:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, channels)
