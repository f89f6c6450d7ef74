"""The noise of the periphery, against its closed forms. Bounds are those of normal statistics at 1e-6 (two-sided): a
test fails by chance less than once in 100,000 runs, and as the seeds are fixed, not from run to run."""

import numpy as np
import pytest
from crossbars import crossbar_model, normal, run_crossbar, stock_model
from numpy.typing import NDArray
from running import run_ort

from nmtool.hardware.periphery import Converter, Periphery, Receiver, Tile

Z = 4.9  # of a standard normal number |z| > Z has the probability 1e-6


def assert_variance(samples: NDArray, expected: NDArray | float) -> None:
    """Normal numbers of mean 0 [n, ...] have the variance; all positions together, each scaled to variance 1."""
    scaled = samples.astype(np.float64) / np.sqrt(expected)
    assert abs(np.mean(scaled**2) - 1) < Z * np.sqrt(2 / scaled.size)
    assert abs(np.mean(scaled)) < Z / np.sqrt(scaled.size)


def errors(op: str, x: NDArray, w: NDArray, attributes: dict, periphery: Periphery, runs: int, **more: bool) -> NDArray:
    """Noisy minus clean products of `runs` runs [runs, ...]."""
    clean = run_ort(stock_model(op, [x, w], attributes, 18), {"x": x})[0]
    model = crossbar_model(stock_model(op, [x, w], attributes, 18), 1, periphery, **more)
    return np.stack([run_crossbar(model, x, noise_run=np.int64(run)) - clean for run in range(runs)])


@pytest.mark.parametrize("rows", [None, 7])
@pytest.mark.parametrize("per_channel", [False, True])
def test_read_noise_is_that_of_every_weight(rows: int | None, per_channel: bool) -> None:
    """std = sigma max|w| ||x|| for each vector, on however many tiles, and no covariance between channels."""
    x, w = normal(0, 2000, 30), normal(1, 30, 6)
    x[:1000] *= 5
    periphery = Periphery(read_noise=0.02, tile=Tile(rows=rows))
    got = errors("MatMul", x, w, {}, periphery, 4, per_channel=per_channel)
    largest = np.abs(w).max(0) if per_channel else np.abs(w).max()
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    assert_variance(got, (0.02 * largest * norm) ** 2)
    scaled = (got / norm).reshape(-1, 6)
    correlation = np.corrcoef(scaled.T) - np.eye(6)
    assert np.abs(correlation).max() < Z / np.sqrt(len(scaled))


@pytest.mark.parametrize(
    ("op", "x", "w", "attributes"),
    [
        ("Conv", normal(0, 40, 6, 8, 8), normal(1, 4, 3, 3, 3), {"group": 2, "pads": [1] * 4, "strides": [2, 2]}),
        ("Conv", normal(0, 40, 6, 8), normal(1, 4, 6, 3), {"dilations": [2]}),
        ("ConvTranspose", normal(0, 40, 6, 5), normal(1, 6, 2, 3), {"group": 2, "strides": [2]}),
        ("ConvTranspose", normal(0, 40, 6, 5), normal(1, 6, 2, 3), {"strides": [2]}),
    ],
)
@pytest.mark.parametrize("output", [None, Converter(range=1e3)])
def test_read_noise_of_convolutions(
    op: str, x: NDArray, w: NDArray, attributes: dict, output: Converter | None
) -> None:
    """||x|| is that of the window, padding included; also with partial sums (a converter without steps)."""
    periphery = Periphery(read_noise=0.05, output=output, tile=Tile(rows=9))
    got = errors(op, x, w, attributes, periphery, 20)
    squares = run_ort(stock_model(op, [x * x, np.ones_like(w)], attributes, 18), {"x": x * x})[0]
    seen = np.broadcast_to(squares > 0, got.shape)  # a window of zeros has no noise: strides may leave such
    assert not got[~seen].any()
    variance = np.broadcast_to((0.05 * np.abs(w).max()) ** 2 * squares, got.shape)
    assert_variance(got[seen], variance[seen])


def test_bit_serial_inputs_are_read_once_for_each_pass() -> None:
    """Each pass has its own noise, from its own digits, and counts as its power."""
    x, w = normal(0, 4000, 8), normal(1, 8, 3)
    dac = Converter(bits=7, range=4.0)
    periphery = Periphery(input=dac, read_noise=0.02, serial=3)
    quiet = run_crossbar(crossbar_model(stock_model("MatMul", [x, w], {}, 18), 1, Periphery(input=dac)), x)
    model = crossbar_model(stock_model("MatMul", [x, w], {}, 18), 1, periphery)
    n = np.minimum(np.abs(np.rint(x / 4 * 63)), 63)
    digits = np.stack([n % 8, n // 8])
    factors = np.array([7, 56]) / 63
    norms = np.sum((digits / 7 * 4) ** 2, 2)  # [2, 4000]
    variance = ((factors**2) @ norms)[:, None] * (0.02 * np.abs(w).max()) ** 2
    assert_variance(run_crossbar(model, x) - quiet, variance)


def test_noise_of_converters_and_receivers() -> None:
    """Before the output converter r^2 (noise^2 + thermal^2 + shot^2 |y| / r + rin^2 (y / r)^2); behind the input's."""
    x = np.repeat(np.linspace(-1, 1, 5, dtype=np.float32), 20000)[:, None]
    w = np.full((1, 1), 2.0, np.float32)
    receiver = Receiver(thermal=0.03, shot=0.04, rin=0.05)
    got = errors("MatMul", x, w, {}, Periphery(output=Converter(range=100.0, noise=0.01), receiver=receiver), 1)[0]
    for each in np.unique(x):
        y = abs(2 * each) / 100
        variance = 100**2 * (0.01**2 + 0.03**2 + 0.04**2 * y + 0.05**2 * y * y)
        assert_variance(got[x == each], variance)
    got = errors("MatMul", x, w, {}, Periphery(input=Converter(range=50.0, noise=0.01)), 1)[0]
    assert_variance(got, (2 * 50 * 0.01) ** 2)


def test_the_scale_multiplies_all_of_it_and_the_run_chooses_it() -> None:
    x, w = normal(0, 50, 8), normal(1, 8, 3)
    stock = run_ort(stock_model("MatMul", [x, w], {}, 18), {"x": x})[0]
    model = crossbar_model(stock_model("MatMul", [x, w], {}, 18), 1, Periphery(read_noise=0.1))
    once, again = (run_crossbar(model, x, noise_run=np.int64(3)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - run_crossbar(model, x, noise_run=np.int64(4))).min() > 0
    half = run_crossbar(model, x, noise_run=np.int64(3), noise_scale=np.float32(0.5))
    np.testing.assert_allclose(half - stock, (once - stock) / 2, atol=1e-5)
