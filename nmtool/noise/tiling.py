"""Tiles: physical arrays of a size, and how a weight array is spread over them."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from nmtool.errors import UsageError
from nmtool.noise.base import require_non_negative


@dataclass(frozen=True)
class Tile:
    """One physical array. A larger matrix is spread over several, and their partial sums are added digitally.

    The rows of a matrix are split evenly: ceil(K / ceil(K / rows)) of them on each tile. A convolution puts the input
    channels of all kernel positions on rows, whole channels to a tile. Each group of a convolution has its own tiles.

    Wires: current flows along bit lines (columns) from the cells to the converters, and along word lines (rows) from
    the drivers to the cells, and voltage drops on every segment between neighbours. To first order in the resistance,
    for every input, cell k of a column acts as g_k / (1 + r sum_i min(i, k) g_i), with cells counted from the
    converter, g relative to the largest conductance and r the resistance of a segment times that conductance; likewise
    along rows, counted from the driver. Each side of differential pairs is an array of its own.

    Attributes:
        rows: inputs of a tile; None: as many as needed.
        columns: output channels of a tile; None: as many as needed.
        bit_line: resistance of one segment of a column, times the largest conductance (0.35 Ohm x 5 uS = 1.75e-6).
        word_line: the same of a row.
    """

    rows: int | None = None
    columns: int | None = None
    bit_line: float = 0.0
    word_line: float = 0.0
    name: ClassVar[str] = "tile"

    def __post_init__(self) -> None:
        require_non_negative(self.name, bit_line=self.bit_line, word_line=self.word_line)
        for field in ("rows", "columns"):
            count = getattr(self, field)
            if count is not None and count < 1:
                raise UsageError(f"{field} of a tile must be at least 1, not {count}")

    @property
    def has_wires(self) -> bool:
        """Whether voltage drops along its wires."""
        return self.bit_line > 0 or self.word_line > 0


class TilingError(Exception):
    """An array that tiles cannot hold; the message says why."""


@dataclass(frozen=True)
class Tiling:
    """An array as groups of matrices, each spread over tiles.

    Attributes:
        inputs: rows of one group's matrix, at one kernel position.
        outputs: output channels of one group.
        groups: matrices that share nothing.
        positions: kernel positions; 1 for a matrix.
        outputs_first: whether output channels come before inputs in the array's axes.
        tiles: how many tiles the inputs of one group are spread over.
        depth: inputs of one tile, at all positions each; the last tile may have fewer.
        columns: output channels of one tile.
    """

    inputs: int
    outputs: int
    groups: int = 1
    positions: int = 1
    outputs_first: bool = False
    tiles: int = 1
    depth: int = 0
    columns: int = 0

    @property
    def rows(self) -> int:
        """Cells in a column of a tile."""
        return self.depth * self.positions

    @property
    def blocks(self) -> int:
        """How many tiles the output channels of one group are spread over."""
        return -(-self.outputs // self.columns)


def tiling(op_type: str, operand: int, shape: tuple[int, ...], attributes: Mapping[str, Any], tile: Tile) -> Tiling:
    """The tiling of an array of the given shape.

    Args:
        op_type: MatMul, Gemm, Conv or ConvTranspose.
        operand: which input of the operator is the array.
        shape: of the array.
        attributes: of the node, by name: group, transA and transB matter.
        tile: the tiles.

    Raises:
        TilingError: tiles cannot hold it.
    """
    if op_type in ("MatMul", "Gemm"):
        if len(shape) != 2:
            raise TilingError(f"tiles hold matrices, and the array has {len(shape)} axes")
        transposed = bool(attributes.get("transB" if operand == 1 else "transA", 0))
        outputs_first = (operand == 0) != transposed
        outputs, inputs = shape if outputs_first else shape[::-1]
        return _spread(Tiling(inputs, outputs, outputs_first=outputs_first), tile)
    groups, positions = int(attributes.get("group", 1)), prod(shape[2:])
    if op_type == "Conv":
        whole = Tiling(shape[1], shape[0] // groups, groups, positions, outputs_first=True)
    else:
        whole = Tiling(shape[0] // groups, shape[1], groups, positions)
    return _spread(whole, tile)


def _spread(whole: Tiling, tile: Tile) -> Tiling:
    capacity = whole.inputs if tile.rows is None else tile.rows // whole.positions
    if not whole.inputs * whole.outputs:
        raise TilingError("the array is empty")
    if not capacity:
        raise TilingError(f"a kernel of {whole.positions} positions exceeds the {tile.rows} rows of a tile")
    tiles = -(-whole.inputs // capacity)
    columns = min(whole.outputs, tile.columns or whole.outputs)
    spread = {"tiles": tiles, "depth": -(-whole.inputs // tiles), "columns": columns}
    return Tiling(**(vars(whole) | spread))
