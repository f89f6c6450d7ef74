"""The runtimes a model can be run on: one module each, all with the same verb `load(model) -> Runner`."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from nmtool.errors import UsageError
from nmtool.model import ModelSource

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Port:
    """An input of a model.

    Attributes:
        name: the graph input's name.
        dtype: element type, or None for what is not a tensor of a numpy type.
        shape: dimensions, None for each one that the model leaves open; None when even the rank is open.
        optional: the model has a default for it.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | None, ...] | None
    optional: bool = False

    def __str__(self) -> str:
        shape = "of any rank" if self.shape is None else "[" + ", ".join(str(d or "?") for d in self.shape) + "]"
        return f"{self.dtype or 'not a tensor'} {shape}"


class Runner(Protocol):
    """A loaded model.

    Attributes:
        inputs: the graph inputs by name, those with defaults last.
        outputs: names of the graph outputs.
        metadata: the model's metadata_props.
        description: the runtime's name and version, for records.
        library: whether nmtool's operator library computes the noise.
    """

    inputs: Mapping[str, Port]
    outputs: Sequence[str]
    metadata: Mapping[str, str]
    description: str
    library: bool

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Run once.

        Args:
            outputs: names of the wanted outputs.
            feeds: an array for every input without a default.

        Raises:
            ModelError: the runtime failed.
        """
        ...


# name -> module with `load(model, **options) -> Runner`; imported on use, so a missing runtime only stops its users
BACKENDS: dict[str, str] = {
    "onnxruntime": "nmtool.backends.ort",
    "reference": "nmtool.backends.reference",
}


def load(model: ModelSource, backend: str = "onnxruntime", **options: Any) -> Runner:
    """Load a model on a backend.

    Args:
        model: path of an .onnx file, ModelProto or ir.Model.
        backend: a name of BACKENDS.
        options: of the backend's own `load`.

    Raises:
        UsageError: no such backend.
        ModelError: the backend rejects the model.
        SetupError: the backend is not installed.
    """
    if backend not in BACKENDS:
        raise UsageError(f"no backend is named {backend!r}", hint="choose one of: " + ", ".join(BACKENDS))
    loader: Callable[..., Runner] = importlib.import_module(BACKENDS[backend]).load
    return loader(model, **options)
