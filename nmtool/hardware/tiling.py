"""How a weight array is spread over tiles."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from nmtool.hardware.periphery import Tile


class DoesNotFit(Exception):
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
        DoesNotFit: tiles cannot hold it.
    """
    if op_type in ("MatMul", "Gemm"):
        if len(shape) != 2:
            raise DoesNotFit(f"tiles hold matrices, and the array has {len(shape)} axes")
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
        raise DoesNotFit("the array is empty")
    if not capacity:
        raise DoesNotFit(f"a kernel of {whole.positions} positions exceeds the {tile.rows} rows of a tile")
    tiles = -(-whole.inputs // capacity)
    columns = min(whole.outputs, tile.columns or whole.outputs)
    spread = {"tiles": tiles, "depth": -(-whole.inputs // tiles), "columns": columns}
    return Tiling(**(vars(whole) | spread))
