"""Voltage drop along wires, against the nodes of a crossbar solved together."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nmtool.noise.numpy_chip import NumpyChip
from nmtool.noise.tiling import Tile, tiling
from nmtool.noise.wires import Wires


def solved(g: NDArray, tile: Tile, x: NDArray) -> NDArray:
    """Currents into the converters of the columns [cols], by Kirchhoff's law at every crossing.

    Args:
        g: conductances [rows, cols], row 0 next to the converters, column 0 next to the drivers.
        tile: the wires' resistance.
        x: voltages of the drivers [rows].
    """
    rows, columns = g.shape
    word = np.arange(g.size).reshape(g.shape)
    bit, laws, sources = word + g.size, np.zeros((2 * g.size, 2 * g.size)), np.zeros(2 * g.size)

    def connect(a: int, b: int | None, conductance: float) -> None:
        laws[a, a] += conductance
        if b is not None:
            laws[b, b] += conductance
            laws[a, b] -= conductance
            laws[b, a] -= conductance

    word_line = tile.word_line or 1e-12
    for i, j in np.ndindex(rows, columns):
        connect(word[i, j], bit[i, j], g[i, j])
        connect(word[i, j], word[i, j - 1] if j else None, 1 / word_line)
        connect(bit[i, j], bit[i - 1, j] if i else None, 1 / tile.bit_line)
        sources[word[i, j]] += 0 if j else x[i] / word_line
    return np.linalg.solve(laws, sources)[bit[0]] / tile.bit_line


@pytest.mark.parametrize("word_line", [0.0, 1.0])
@pytest.mark.parametrize("bit_line", [1e-5, 1e-4, 1e-3])
def test_the_error_is_of_second_order(bit_line: float, word_line: float) -> None:
    """0.2 % to 20 % of the currents drop: what is wrong is less than the square of that."""
    rng = np.random.default_rng(0)
    g, x = rng.random((32, 12)).astype(np.float32), rng.standard_normal(32)
    tile = Tile(bit_line=bit_line, word_line=bit_line * word_line)
    chip = NumpyChip(0, 0, wires=Wires(tiling("MatMul", 1, g.shape, {}, tile), tile))
    exact, ideal = solved(g.astype(np.float64), tile, x), x @ g
    drop = np.linalg.norm(exact - ideal) / np.linalg.norm(ideal)
    error = np.linalg.norm(x @ chip.loaded(g) - exact) / np.linalg.norm(ideal)
    assert 100 * bit_line < drop < 400 * bit_line
    assert error < 0.7 * drop**2


def test_one_cell_is_exact() -> None:
    """A resistance in series: g / (1 + r g), on both lines."""
    tile = Tile(bit_line=0.2, word_line=0.1)
    chip = NumpyChip(0, 0, wires=Wires(tiling("MatMul", 1, (1, 1), {}, tile), tile))
    np.testing.assert_allclose(chip.loaded(np.array([[0.5]], np.float32)), 0.5 / (1 + 0.3 * 0.5), rtol=1e-6)


@pytest.mark.parametrize(
    ("op", "shape", "attributes", "operand"),
    [
        ("MatMul", (10, 7), {}, 1),
        ("MatMul", (7, 10), {}, 0),
        ("Gemm", (7, 10), {"transB": 1}, 1),
        ("Conv", (6, 5, 2, 2), {"group": 2}, 1),
        ("ConvTranspose", (10, 3, 4), {"group": 2}, 1),
    ],
)
def test_every_column_of_every_tile_has_its_own_wires(
    op: str, shape: tuple[int, ...], attributes: dict[str, int], operand: int
) -> None:
    """The sums of min(i, k) g_i, cell by cell, wherever the operator's layout puts the cells."""
    g = np.random.default_rng(0).random((2, *shape)).astype(np.float32)  # the sides of pairs
    tile = Tile(rows=12 if len(shape) > 2 else 4, columns=2, bit_line=0.01, word_line=0.02)
    spread = tiling(op, operand, shape, attributes, tile)
    got = NumpyChip(0, 0, wires=Wires(spread, tile)).loaded(g)
    groups, positions = spread.groups, spread.positions
    axes = (spread.outputs, spread.inputs) if spread.outputs_first else (spread.inputs, spread.outputs)
    parts = [values.reshape(2, groups, *axes, positions) for values in (g, got)]
    parts = [np.transpose(p, (0, 1, 3, 4, 2) if spread.outputs_first else (0, 1, 2, 4, 3)) for p in parts]
    before, after = (p.reshape(2, groups, -1, spread.outputs) for p in parts)  # rows: inputs with all their positions
    rows = np.arange(before.shape[2])
    for side, group, row, column in np.ndindex(before.shape):
        cells = before[side, group]
        first, left = row // spread.rows * spread.rows, column // 2 * 2
        column_cells = cells[(rows >= first) & (rows < first + spread.rows), column]
        row_cells = cells[row, left : left + 2]
        along_column = sum(min(i, row - first + 1) * c for i, c in enumerate(column_cells, 1))
        along_row = sum(min(j, column - left + 1) * c for j, c in enumerate(row_cells, 1))
        expected = cells[row, column] / (1 + 0.01 * along_column + 0.02 * along_row)
        assert after[side, group, row, column] == pytest.approx(expected, rel=1e-5)
