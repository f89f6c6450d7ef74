"""The voltage that drops along the wires of tiles, as a change of what their cells conduct."""

from dataclasses import dataclass
from typing import Protocol

from nmtool.noise.device import Term
from nmtool.noise.tiling import Tile, Tiling


class Layout(Protocol):
    """Rearranging and adding up of cells; all shapes are plain numbers, -1 what is left."""

    def reshape(self, x: Term, shape: tuple[int, ...]) -> Term:
        """The same numbers in another shape."""
        ...

    def transpose(self, x: Term, axes: tuple[int, ...]) -> Term:
        """The axes in another order."""
        ...

    def resized(self, x: Term, axis: int, before: int, after: int, rank: int) -> Term:
        """Zeros added to an axis, or what is behind cut off, so that its size changes."""
        ...

    def accumulate(self, x: Term, axis: int, reverse: bool) -> Term:
        """Sums of everything up to each element of the axis, itself included; reverse: from the end."""
        ...


@dataclass(frozen=True)
class Wires:
    """The wires of the tiles that hold an array; see Tile for the formula.

    In a column wire with current I_i of cell i into node i, and the converter's virtual ground before node 1, the
    voltage of node k is r sum_i min(i, k) I_i. With I_i = g_i x_i, which is first order in r, the column carries
    sum_k g_k (x_k - r sum_i min(i, k) g_i x_i) = sum_k x_k g_k (1 - r sum_i min(i, k) g_i). For 1 - a we take
    1 / (1 + a): the same to first order, exact for a single cell, and positive for every wire.

    Attributes:
        tiling: how the array lies on tiles.
        tile: the tiles.
    """

    tiling: Tiling
    tile: Tile

    def loaded(self, conductance: Term, layout: Layout) -> Term:
        """What the cells act as: [L, array] flattened to any shape, returned as [L, size of the array]."""
        t = self.tiling
        if t.outputs_first:
            x = layout.transpose(
                layout.reshape(conductance, (-1, t.groups, t.outputs, t.inputs, t.positions)), (0, 1, 3, 4, 2)
            )
        else:
            x = layout.transpose(
                layout.reshape(conductance, (-1, t.groups, t.inputs, t.outputs, t.positions)), (0, 1, 2, 4, 3)
            )
        places, width = t.tiles * t.depth, t.blocks * t.columns
        x = layout.resized(x, 2, t.inputs, places, 5)
        x = layout.resized(x, 4, t.outputs, width, 5)
        x = layout.reshape(x, (-1, t.rows, t.blocks, t.columns))
        drop = self._drop(x, 1, self.tile.bit_line, layout) + self._drop(x, 3, self.tile.word_line, layout)
        x = layout.reshape(x / (drop + 1.0), (-1, t.groups, places, t.positions, width))
        x = layout.resized(x, 2, places, t.inputs, 5)
        x = layout.resized(x, 4, width, t.outputs, 5)
        x = layout.transpose(x, (0, 1, 4, 2, 3) if t.outputs_first else (0, 1, 2, 4, 3))
        return layout.reshape(x, (-1, t.groups * t.inputs * t.outputs * t.positions))

    def _drop(self, x: Term, axis: int, resistance: float, layout: Layout) -> Term:
        """Of each cell: r sum_i min(i, k) g_i, which is the sum over m <= k of the sum over i >= m of r g_i."""
        if not resistance:
            return 0.0
        return layout.accumulate(layout.accumulate(x, axis, reverse=True), axis, reverse=False) * resistance
