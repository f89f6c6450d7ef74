"""Which layers of a model go to which arrays."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from nmtool.noise.base import NoiseModel
from nmtool.noise.cell import Cell


@dataclass(frozen=True)
class Layer:
    """The array of one layer.

    Attributes:
        weights: noise on the weights, or the cells that hold them; None: they are held exactly.
    """

    weights: NoiseModel | Cell | None = None


@dataclass(frozen=True)
class Hardware:
    """The arrays of a model.

    Attributes:
        layer: of all layers but those of `overrides`.
        overrides: globs of node names, and the array of the nodes that match; the first that matches counts.
        time: seconds since programming, the default of the input `noise_time`.
    """

    layer: Layer
    overrides: tuple[tuple[str, Layer], ...] = ()
    time: float = 0.0

    def of(self, node: str) -> Layer:
        """The array of the node of that name."""
        return next((layer for pattern, layer in self.overrides if fnmatchcase(node, pattern)), self.layer)
