"""Files that work reads, on machines that may not have them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PIECE = 64 << 20  # bytes that are sent at once


@dataclass(frozen=True)
class Facts:
    """A file as one machine sees it; where another sees the same, it is the same file, or a faithful copy.

    Attributes:
        path: absolute.
        size: bytes.
        modified: time of the last change, nanoseconds.
    """

    path: Path
    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> "Facts":
        """What is known of a file that exists."""
        status = path.stat()
        return cls(path.absolute(), status.st_size, status.st_mtime_ns)

    def held(self, path: Path) -> bool:
        """Whether the file, or its copy, is at a path."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified)

    def pieces(self) -> Iterator[bytes]:
        """The content."""
        with self.path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


Groups = Sequence[Sequence[Facts]]


def facts(files: Iterable[Iterable[Path]]) -> list[list[Facts]]:
    """Groups of files, those in folders included."""
    return [[Facts.of(each) for path in group for each in _files(path)] for group in files]


def _files(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


class Copies:
    """The files on a machine: in place where all of a group are, else copies in a folder.

    Copies keep their paths below the folder, so that what refers to a neighbour finds it.
    """

    def __init__(self, groups: Groups, folder: Path) -> None:
        self._folder = folder
        self._in_place = [[each.path for each in group] for group in groups if all(e.held(e.path) for e in group)]
        placed = {path for group in self._in_place for path in group}
        self._copied = [each for group in groups for each in group if each.path not in placed]

    def missing(self) -> list[Facts]:
        """What has to be copied; another worker of this machine may have done it."""
        return [each for each in self._copied if not each.held(self._at(each.path))]

    def add(self, file: Facts, pieces: Iterable[bytes]) -> None:
        """Write a copy, whole or not at all."""
        target = self._at(file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.{os.getpid()}")
        with staged.open("wb") as stream:
            stream.writelines(pieces)
        os.utime(staged, ns=(file.modified, file.modified))
        staged.replace(target)

    def locate(self, path: Path) -> Path:
        """Where a file or folder is here."""
        full = path.absolute()
        copied = any(each.path == full or full in each.path.parents for each in self._copied)
        return self._at(full) if copied else full

    def _at(self, path: Path) -> Path:
        return self._folder / path.relative_to(path.anchor)
