"""Tar shards of images as WebDataset writes them: `key.jpg` and `key.cls` side by side."""

import re
import tarfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from nmtool.backends import Array
from nmtool.data.images import SUFFIXES, Images, Part
from nmtool.errors import UsageError


class Members(Sequence[Part]):
    """The images of all shards by position, in 24 bytes each."""

    def __init__(self, archives: Sequence[Path], places: Array) -> None:
        """Take an index.

        Args:
            archives: the tar files.
            places: number of the archive, offset and size of each image, int64 [images, 3].
        """
        self._archives, self._places = archives, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, key: int) -> Part: ...
    @overload
    def __getitem__(self, key: slice) -> "Members": ...
    def __getitem__(self, key: int | slice) -> "Part | Members":
        if isinstance(key, slice):
            return Members(self._archives, self._places[key])
        archive, offset, size = self._places[key].tolist()
        return Part(self._archives[archive], offset, size)


def open_shards(archives: Sequence[Path]) -> Images:
    """Index the images of tar files; reads headers and labels, no image.

    Args:
        archives: the tar files, whose samples follow each other.

    Raises:
        UsageError: a file is no tar file, there is no image, a sample has two, or only some samples have a class.
    """
    places, labels = array("q"), array("q")
    for number, archive in enumerate(archives):
        try:
            with tarfile.open(archive, "r:") as file:  # compressed ones have no places to go to
                for place, label in _samples(file, archive):
                    places.extend((number, *place))
                    labels.extend(label)
        except (tarfile.TarError, OSError) as error:
            raise UsageError(
                f"cannot read {archive}: {error}", hint="shards are tar files without compression"
            ) from error
    index = np.frombuffer(places, np.int64).reshape(-1, 3) if places else np.empty((0, 3), np.int64)
    if not len(index):
        raise UsageError(f"no images in {archives[0]}", hint="a sample is key.jpg with its class in key.cls")
    if len(labels) not in (0, len(index)):
        raise UsageError(
            f"{len(labels)} of {len(index)} samples in {archives[0].parent} have a class: all or none must"
        )
    return Images(Members(archives, index), np.frombuffer(labels, np.int64) if labels else None)


def _samples(file: tarfile.TarFile, archive: Path) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """Offset and size of each image, and its class, or none; a sample is names that are equal up to their first dot."""
    key, image, label = "", None, list[int]()
    for member in file:
        file.members = []  # type: ignore[attr-defined]  # tarfile would keep them all
        folder, name, fields = re.fullmatch(r"(.*/)?([^/.]*)(.*)", member.name, re.DOTALL).groups("")  # type: ignore[union-attr]
        if not member.isfile() or not name:
            continue
        if folder + name != key:
            if image is not None:
                yield image, label
            key, image, label = folder + name, None, []
        if fields.lower() in SUFFIXES:
            if image is not None:
                raise UsageError(f"sample {key} of {archive} has two images")
            image = member.offset_data, member.size
        elif fields == ".cls":
            label = [_class(file, member, archive)]
    if image is not None:
        yield image, label


def _class(file: tarfile.TarFile, member: tarfile.TarInfo, archive: Path) -> int:
    content = file.extractfile(member)
    assert content is not None  # it is a file
    text = content.read()
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"{member.name} of {archive} is no number of a class: {text[:20]!r}") from error
