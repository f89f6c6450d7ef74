"""What every backend offers: `Backend`, a runtime, and `Runner`, a model loaded on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

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


class Backend(Protocol):
    """A runtime: a module of this package, or what an entry point names."""

    def version(self) -> str:
        """Name and version of the runtime; cheap, since it is called to list what there is.

        Raises:
            SetupError: it is not installed; the hint is the command that installs it.
        """
        ...

    def load(self, model: ModelSource, **options: Any) -> Runner:
        """Load a model; the options are keyword arguments of the backend's own.

        Raises:
            ModelError: the runtime rejects the model.
            SetupError: the runtime is not installed.
        """
        ...
