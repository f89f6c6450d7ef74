"""Crossbar functions against a model of arrays in plain numpy, in three runtimes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from array_oracle import on_tiles, stuffed, windows
from crossbars import crossbar_model, normal, run_crossbar, run_torch, stock_model
from numpy.typing import NDArray
from running import run_ort, run_reference

from nmtool.hardware.periphery import Converter, Periphery, Receiver, Tile
from nmtool.noise.slicing import Slicing
from nmtool.noise.tiling import TilingError
from nmtool.ops.crossbar import crossbar_of


@dataclass(frozen=True)
class Case:
    """A stock operator on arrays."""

    op: str
    arrays: list[NDArray[np.float32]]
    attributes: dict[str, Any] = field(default_factory=dict)
    operand: int = 1
    geometry: dict[str, int] = field(default_factory=dict)

    @property
    def activation(self) -> int:
        return 1 - self.operand

    @property
    def x(self) -> NDArray[np.float32]:
        return self.arrays[self.activation]

    def stock(self, opset: int = 18) -> ir.Model:
        return stock_model(self.op, self.arrays, self.attributes, opset, self.activation)

    def oracle(self, periphery: Periphery, limit: float, slicing: Slicing | None = None) -> NDArray[np.float64]:
        """The result that the case should have; inputs have dynamic ranges."""
        x, w = (self.arrays[k].astype(np.float64) for k in (self.activation, self.operand))
        bias = self.arrays[2].astype(np.float64) if len(self.arrays) > 2 else 0.0
        if self.op in ("MatMul", "Gemm"):
            if self.attributes.get("transB" if self.operand == 1 else "transA", 0) != (self.operand == 0):
                w = w.T
            columns = self.attributes.get("transA", 0) if self.operand else not self.attributes.get("transB", 0)
            x = np.swapaxes(x, -1, -2) if columns and x.ndim > 1 else x
            vectors = x.reshape(-1, 1, 1, w.shape[0], 1)
            full = np.abs(vectors).max((1, 2, 3, 4), keepdims=True)
            y = on_tiles(vectors, w[None, :, None], periphery, full=full, limit=limit, slicing=slicing)
            y = y.reshape(*x.shape[:-1], w.shape[1])
            y = np.swapaxes(y, -1, -2) if self.operand == 0 and y.ndim > 1 else y
            return self.attributes.get("alpha", 1.0) * y + self.attributes.get("beta", 1.0) * bias
        groups = self.attributes.get("group", 1)
        full = np.abs(x).max(tuple(range(1, x.ndim))).reshape(-1, 1, 1, 1, 1)
        geometry = {"strides": 1, "dilation": 1, "pad": 0} | self.geometry
        kernel = w.shape[2:]
        if self.op == "ConvTranspose":
            x = stuffed(x, geometry["strides"])
            geometry |= {"strides": 1, "pad": kernel[0] - 1 - geometry["pad"]}
            w = np.flip(w, tuple(range(2, w.ndim))).reshape(groups, -1, *w.shape[1:])
            matrix = np.swapaxes(w.reshape(*w.shape[:3], -1), 2, 3)  # [G, C, k, M]
        else:
            w = w.reshape(groups, -1, *w.shape[1:])
            matrix = np.transpose(w.reshape(*w.shape[:3], -1), (0, 2, 3, 1))
        vectors = windows(x, kernel, geometry["strides"], geometry["dilation"], geometry["pad"], groups)
        y = on_tiles(vectors, matrix, periphery, full=full, limit=limit, slicing=slicing)
        shape = run_ort(self.stock(), {"x": self.x})[0].shape
        y = np.moveaxis(y.reshape(*y.shape[:2], -1), 1, 2).reshape(shape)
        return y + np.reshape(bias, (-1, *(1,) * (y.ndim - 2)))


CASES = {
    "matmul": Case("MatMul", [normal(0, 2, 3, 10), normal(1, 10, 4)]),
    "vector": Case("MatMul", [normal(0, 10), normal(1, 10, 4)]),
    "left": Case("MatMul", [normal(0, 4, 10), normal(1, 2, 10, 3)], operand=0),
    "left-vector": Case("MatMul", [normal(0, 4, 10), normal(1, 10)], operand=0),
    "gemm": Case(
        "Gemm",
        [normal(0, 10, 5), normal(1, 4, 10), normal(2, 4)],
        {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0},
    ),
    "gemm-left": Case("Gemm", [normal(0, 4, 10), normal(1, 10, 3), normal(2, 4, 1)], {"alpha": 0.5}, operand=0),
    "gemm-left-transposed": Case("Gemm", [normal(0, 10, 4), normal(1, 3, 10)], {"transA": 1, "transB": 1}, operand=0),
    "conv": Case(
        "Conv",
        [normal(0, 2, 10, 7, 6), normal(1, 4, 10, 3, 3), normal(2, 4)],
        {"pads": [1] * 4, "strides": [2, 2], "dilations": [2, 2]},
        geometry={"pad": 1, "strides": 2, "dilation": 2},
    ),
    "conv1d-grouped": Case(
        "Conv", [normal(0, 2, 10, 7), normal(1, 4, 5, 3)], {"group": 2, "auto_pad": "SAME_UPPER"}, geometry={"pad": 1}
    ),
    "depthwise": Case(
        "Conv", [normal(0, 2, 6, 5, 5), normal(1, 6, 1, 3, 3), normal(2, 6)], {"group": 6, "kernel_shape": [3, 3]}
    ),
    "conv-transpose": Case(
        "ConvTranspose",
        [normal(0, 2, 10, 4, 3), normal(1, 10, 3, 3, 3), normal(2, 3)],
        {"pads": [1] * 4, "strides": [2, 2]},
        geometry={"pad": 1, "strides": 2},
    ),
    "conv-transpose-grouped": Case(
        "ConvTranspose", [normal(0, 2, 10, 5), normal(1, 10, 3, 3), normal(2, 6)], {"group": 2}
    ),
}
LIMIT = 12.0
ADC = Converter(bits=8, range=LIMIT)
DAC = Converter(bits=6, range="dynamic")
PERIPHERIES = {
    "inputs": (Periphery(input=DAC), None),
    "outputs": (Periphery(output=ADC), None),
    "tiles": (Periphery(input=DAC, output=ADC, tile=Tile(rows=36)), None),
    "passes": (Periphery(input=DAC, output=ADC, tile=Tile(rows=36), serial=2), None),
    "unsigned": (Periphery(input=Converter(bits=5, range="dynamic", signed=False), output=ADC, serial=1), None),
    "slices": (Periphery(output=ADC, tile=Tile(rows=36)), Slicing(8, 2)),
    "all": (Periphery(input=DAC, output=ADC, tile=Tile(rows=30), serial=3), Slicing(5, 3)),
}


def digits_of(w: NDArray[np.float32], slicing: Slicing) -> NDArray[np.float32]:
    """The slices that cells without noise hold."""
    size = np.abs(w).max()
    n = np.rint(w / size * slicing.levels).astype(int)
    base = 2**slicing.per_slice
    parts = [np.sign(n) * (abs(n) // power % base) for power in slicing.powers]
    return (np.stack(parts) / (base - 1) * size).astype(np.float32)


def built(case: Case, periphery: Periphery, slicing: Slicing | None = None, opset: int = 18, **more: Any) -> ir.Model:
    array = digits_of(case.arrays[case.operand], slicing) if slicing else None
    return crossbar_model(case.stock(opset), case.operand, periphery, slicing=slicing, array=array, **more)


def assert_steps_equal(got: NDArray[Any], expected: NDArray[Any], step: float) -> None:
    """Equal but where rounding of sums may decide for the neighbouring step, which is rare."""
    assert got.shape == expected.shape
    difference = np.abs(got - expected)
    assert np.mean(difference > 1e-3 * step) <= 0.01
    assert difference.max() <= 1.01 * step


@pytest.mark.parametrize("around", PERIPHERIES)
@pytest.mark.parametrize("case", CASES)
def test_products_on_arrays_equal_a_model_in_numpy(case: str, around: str) -> None:
    periphery, slicing = PERIPHERIES[around]
    model = built(CASES[case], periphery, slicing)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    got = run_crossbar(model, CASES[case].x)
    expected = CASES[case].oracle(periphery, LIMIT, slicing)
    heaviest = max(periphery.pass_factors, default=1.0) * max(slicing.factors if slicing else (1.0,))
    assert_steps_equal(got, expected, heaviest * LIMIT / 127)


@pytest.mark.parametrize("opset", [13, 18, 21])
@pytest.mark.parametrize("case", CASES)
def test_runtimes_agree(case: str, opset: int) -> None:
    periphery, slicing = PERIPHERIES["all"]
    model, x = built(CASES[case], periphery, slicing, opset), CASES[case].x
    expected = run_crossbar(model, x)
    step = LIMIT / 127 * max(periphery.pass_factors) * max(slicing.factors if slicing else (1.0,))
    assert_steps_equal(run_torch(model, x), expected, step)
    if CASES[case].op != "ConvTranspose":  # the reference evaluator cannot split its groups
        assert_steps_equal(run_reference(model, {"x": x})[0], expected, step)


FINE = Converter(bits=22, range="dynamic")
NOISY = Periphery(
    input=Converter(range="dynamic", noise=0.1),
    output=Converter(range=500.0, unit="cell", noise=0.1),
    tile=Tile(rows=20),
    read_noise=0.1,
    receiver=Receiver(0.1, 0.1, 0.1),
)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    "periphery",
    [
        Periphery(input=FINE, output=FINE),
        Periphery(input=FINE, output=Converter(bits=24, range=500.0, unit="cell"), tile=Tile(rows=20, columns=2)),
        Periphery(input=FINE, output=FINE, tile=Tile(rows=20), serial=4),
        NOISY,
    ],
)
@pytest.mark.parametrize("case", CASES)
def test_an_ideal_periphery_changes_nothing(case: str, periphery: Periphery, per_channel: bool) -> None:
    expected = run_ort(CASES[case].stock(), {"x": CASES[case].x})[0]
    model = built(CASES[case], periphery, per_channel=per_channel)
    silent = {"noise_scale": np.float32(0)} if periphery is NOISY else {}
    got = run_crossbar(model, CASES[case].x, **silent)
    np.testing.assert_allclose(got, expected, atol=5e-4 * np.abs(expected).max())


@pytest.mark.parametrize("converter", [Converter(bits=3, range=2.0), Converter(bits=3, range=2.0, signed=False)])
def test_the_transfer_curve_of_a_converter(converter: Converter) -> None:
    """Through the array [1]: DAC and ADC, mid-tread, 6 steps or 7, limited to the range."""
    x = np.linspace(-3, 3, 601, dtype=np.float32)[:, None]
    case = Case("MatMul", [x, np.ones((1, 1), np.float32)])
    lowest = -2.0 if converter.signed else 0.0
    step = 4 / 6 if converter.signed else 2 / 7
    expected = np.clip(np.rint(x / step) * step, lowest, 2.0)
    for periphery in (Periphery(input=converter), Periphery(output=converter)):
        got = run_crossbar(built(case, periphery), x)
        np.testing.assert_allclose(got, expected, atol=1e-6)
        assert len(np.unique(np.round(got, 4))) == (7 if converter.signed else 8)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    for case in (CASES["matmul"], CASES["conv"]):
        model = built(case, Periphery(input=DAC, output=Converter(bits=6, range="dynamic"), tile=Tile(rows=36)))
        louder = case.x.copy()
        louder[1] *= 100
        np.testing.assert_array_equal(run_crossbar(model, louder)[0], run_crossbar(model, case.x)[0])


def test_calibrated_ranges_may_differ_by_tile() -> None:
    """[G, T, S, N]: two tiles of a matrix, whose sums are limited differently."""
    x, w = np.ones((1, 4), np.float32), np.ones((4, 2), np.float32)
    periphery = Periphery(output=Converter(per_tile=True), tile=Tile(rows=2))
    ranges = np.array([[[[0.5, 1.0]], [[1.5, 9.0]]]])
    model = built(Case("MatMul", [x, w]), periphery, ranges={"output_range": ranges})
    np.testing.assert_array_equal(run_crossbar(model, x), [[2.0, 3.0]])


def test_nodes_share_functions_where_nothing_depends_on_the_size_of_the_array() -> None:
    node = CASES["conv"].stock().graph[0]
    plain, tiled = Periphery(input=DAC, output=ADC), Periphery(output=ADC, tile=Tile(rows=18))
    assert crossbar_of(node, 1, (4, 10, 3, 3), plain) == crossbar_of(node, 1, (8, 64, 3, 3), plain)
    assert crossbar_of(node, 1, (4, 10, 3, 3), tiled) != crossbar_of(node, 1, (8, 64, 3, 3), tiled)
    silent = Periphery(input=DAC, tile=Tile(rows=18), serial=1)
    assert not crossbar_of(node, 1, (4, 10, 3, 3), silent, slicing=Slicing(8, 2)).has_parts


@pytest.mark.parametrize(
    ("op", "shape", "reason"),
    [
        ("Conv", (4, 10, 3, 3), "a kernel of 9 positions exceeds the 8 rows of a tile"),
        ("MatMul", (2, 10, 4), "the array has 3 axes"),
        ("MatMul", (0, 4), "empty"),
    ],
)
def test_arrays_that_do_not_fit_say_why(op: str, shape: tuple[int, ...], reason: str) -> None:
    node = ir.node(op, [ir.val("a"), ir.val("b")])
    with pytest.raises(TilingError, match=reason):
        crossbar_of(node, 1, shape, Periphery(tile=Tile(rows=8)))
