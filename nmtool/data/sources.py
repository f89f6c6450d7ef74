"""Where samples come from: .npz, .npy, an image folder, tar shards, `module:function`, or arrays at hand."""

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from nmtool.backends import Array
from nmtool.data.images import Images, open_folder
from nmtool.data.options import Layout
from nmtool.data.shards import open_shards
from nmtool.errors import UsageError
from nmtool.plugins import load_function, names_function

Inputs: TypeAlias = Mapping[str, Array] | Array
DataSource: TypeAlias = str | os.PathLike[str] | Inputs | tuple[Inputs, Array | None] | Callable[[], Any]

UNNAMED = ""  # the name of an array that came without one: the model's only input


class Samples(Protocol):
    """Samples along the first axis, read when indexed: an array, a memory map, or encoded images."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape, samples first."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""

    def __getitem__(self, key: slice | Array) -> Array:
        """Some samples: a slice, or those at the positions of an int64 array."""


@dataclass(frozen=True)
class Source:
    """What a source holds, before it is matched with a model's inputs.

    Attributes:
        name: for messages.
        arrays: by name; a lazy mapping where the file allows.
        labels: labels that came apart from the arrays.
        images: encoded images, instead of arrays.
        layout: the axis order of images, where the source knows it.
    """

    name: str
    arrays: Mapping[str, Array]
    labels: Array | None = None
    images: Images | None = None
    layout: Layout | None = None

    def array(self, name: str) -> Array:
        """One array.

        Raises:
            UsageError: it cannot be read, or holds Python objects.
        """
        try:
            array = self.arrays[name]
        except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
            raise UsageError(f"cannot read array {name!r} of {self.name}: {error}") from error
        if not isinstance(array, np.ndarray) or array.dtype.hasobject:
            raise UsageError(f"{name!r} of {self.name} must be an array of numbers or text, not of Python objects")
        return array


def open_source(source: DataSource) -> Source:
    """Open a data source.

    Raises:
        UsageError: there is no such file, or it is not what its name says.
    """
    path = path_of(source)
    if path is not None:
        return _from_path(path)
    if isinstance(source, str):
        return _from_value(source, _call(load_function(source), source))
    if callable(source):
        name = getattr(source, "__name__", "the data function")
        return _from_value(name, _call(source, name))
    return _from_value("the data", source)


def path_of(source: DataSource) -> Path | None:
    """The file or folder that a source is read from; None for functions and arrays."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    if isinstance(source, str) and names_function(source) and not Path(source).exists():
        return None
    return Path(source)


def _call(function: Callable[[], Any], name: str) -> Any:
    try:
        return function()
    except Exception as error:  # the user's code
        raise UsageError(f"{name} failed: {type(error).__name__}: {error}") from error


def _from_value(name: str, value: Any) -> Source:
    inputs, labels = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
    if isinstance(inputs, np.ndarray):
        inputs = {UNNAMED: inputs}
    if not isinstance(inputs, Mapping):
        raise UsageError(
            f"{name} must give an array, a dict of arrays, or (inputs, labels), not {type(value).__name__}"
        )
    return Source(name, inputs, None if labels is None else np.asarray(labels))


def _from_images(name: str, images: Images) -> Source:
    return Source(name, {}, images.labels, images, layout="nhwc")


def _from_path(path: Path) -> Source:
    name = str(path)
    if path.is_dir():
        shards = sorted(path.glob("*.tar"))
        return _from_images(name, open_shards(shards) if shards else open_folder(path))
    if not path.is_file():
        raise UsageError(f"no such data file: {path}")
    if path.suffix == ".tar":
        return _from_images(name, open_shards([path]))
    if path.suffix not in (".npz", ".npy"):
        raise UsageError(
            f"not a data file: {path}", hint="give .npz, .npy, a folder of images, .tar shards or module:function"
        )
    if (path.suffix == ".npz") != zipfile.is_zipfile(path):
        raise UsageError(f"not a {path.suffix} file: {path}", hint="write it with numpy.savez or numpy.save")
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    return Source(name, {UNNAMED: loaded} if isinstance(loaded, np.ndarray) else loaded)
