"""Weights in slices, and what cells make of them, in numpy and as ONNX functions."""

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import run_ort

from nmtool.errors import UsageError
from nmtool.noise.base import Channels
from nmtool.noise.cell import Cell
from nmtool.noise.devices.pcm import Pcm
from nmtool.noise.numpy_chip import NumpyChip
from nmtool.noise.slicing import Slicing
from nmtool.noise.tiling import Tile, tiling
from nmtool.noise.wires import Wires
from nmtool.ops import DOMAIN, VERSION
from nmtool.ops.chip import cell_function
from nmtool.ops.converters import digits_function
from nmtool.ops.primitives import primitive_functions

WEIGHTS = np.random.default_rng(0).standard_normal((6, 5, 3, 3)).astype(np.float32)


@given(st.data())
def test_slices_add_up_to_the_rounded_weight(data: st.DataObject) -> None:
    bits = data.draw(st.integers(2, 16))
    slicing = Slicing(bits, data.draw(st.integers(1, bits - 1)))
    weights = np.array(data.draw(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=9)), np.float32)
    weights = np.append(weights, np.float32(1))
    slices = Cell((), slicing=slicing).perturb(weights, NumpyChip(0, 0), slices=True)
    assert np.abs(slices).max() <= 1
    assert slices.shape == (len(slicing.factors), weights.size)
    n = slicing.levels
    whole = np.tensordot(slicing.factors, slices, 1)
    np.testing.assert_allclose(whole * n, np.rint(whole * n), atol=n * 2e-6)
    assert np.abs(whole - weights).max() <= 0.5 / n * (1 + 1e-5)
    combined = Cell((), slicing=slicing).perturb(weights, NumpyChip(0, 0))
    np.testing.assert_allclose(combined, whole, atol=1e-6)


@pytest.mark.parametrize(("bits", "per_slice"), [(1, 1), (25, 2), (8, 0), (8, 8)])
def test_impossible_slices(bits: int, per_slice: int) -> None:
    with pytest.raises(UsageError, match="bits"):
        Slicing(bits, per_slice)


def test_slices_have_noise_of_their_own() -> None:
    """The noise of the lowest slice counts for little: sigma of the sum is that of factors in quadrature."""
    cell = Cell((Pcm(),), slicing=Slicing(5, 2), compensation="none")
    weights = np.full((100, 100), 1.0, np.float32)
    slices = cell.perturb(weights, NumpyChip(1, 2, scale=1), slices=True)
    first, second = (np.std(each) for each in slices)
    assert first == pytest.approx(second, rel=0.1)  # full-scale digits both
    whole = cell.perturb(weights, NumpyChip(1, 2, scale=1))
    assert np.std(whole) == pytest.approx(np.hypot(first * 3 / 15, second * 12 / 15), rel=0.05)


def test_the_wires_of_cells_that_hold_their_conductance_exactly() -> None:
    tile = Tile(bit_line=0.1)
    w = np.array([[1.0, -0.5], [0.5, 0.5]], np.float32)
    chip = NumpyChip(0, 0, wires=Wires(tiling("MatMul", 1, w.shape, {}, tile), tile))
    got = Cell(()).perturb(w, chip)
    loaded = [[1 / (1 + 0.1 * 1.5), -0.5 / (1 + 0.1 * 0.5)], [0.5 / (1 + 0.1 * 2), 0.5 / (1 + 0.1 * 1.0)]]
    np.testing.assert_allclose(got, loaded, rtol=1e-6)  # the sides of pairs have columns of their own


@pytest.mark.parametrize("opset", [13, 18, 21])
@pytest.mark.parametrize("slices", [False, True])
@pytest.mark.parametrize(
    ("channels", "op", "groups"),
    [(Channels(0), "Conv", 1), (Channels(1, 2), "ConvTranspose", 2), (Channels(), "Conv", 2)],
)
def test_cells_as_functions_equal_numpy(channels: Channels, op: str, groups: int, slices: bool, opset: int) -> None:
    cell = Cell((), scale="channel", slicing=Slicing(8, 3), compensation="channel")
    tile = Tile(rows=20, columns=2, bit_line=0.01, word_line=0.01)
    wires = Wires(tiling(op, 1, WEIGHTS.shape, {"group": groups}, tile), tile)
    function = cell_function("Held", cell, opset, 4, channels, wires=wires, slices=slices)
    x, y = ir.val("x", ir.DataType.FLOAT, WEIGHTS.shape), ir.val("y", ir.DataType.FLOAT)
    attributes = [ir.AttrInt64("seed", 1), ir.AttrInt64("stream", 2), ir.AttrInt64("dtype", 1)]
    constants = {"noise_trial": np.array(0, np.int64), "noise_scale": np.array(1, np.float32)}
    held = [ir.val(name, const_value=ir.tensor(value, name=name)) for name, value in constants.items()]
    named = {"weights": x} | {value.name or "": value for value in held}
    node = ir.Node(DOMAIN, "Held", [named[v.name or ""] for v in function.inputs], attributes, outputs=[y])
    graph = ir.Graph([x], [y], nodes=[node], initializers=held, opset_imports={"": opset, DOMAIN: VERSION}, name="g")
    functions = [digits_function(opset), *primitive_functions("GaussianNoise", opset), function]
    model = ir.Model(graph, ir_version=9, functions=functions)
    got = run_ort(model, {"x": WEIGHTS})[0]
    weights = WEIGHTS.reshape(2, 3, 5, 3, 3) if channels.groups > 1 else WEIGHTS
    expected = cell.perturb(weights, NumpyChip(1, 2, wires=wires), channels.within(4), slices)
    leading = (len(cell.slicing.factors),) if slices and cell.slicing else ()
    np.testing.assert_allclose(got, expected.reshape(*leading, *WEIGHTS.shape), rtol=1e-4, atol=1e-6)
