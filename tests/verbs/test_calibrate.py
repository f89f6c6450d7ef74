"""Ranges of converters: numpy says what they are."""

import tomllib

import numpy as np
import pytest

import nmtool
from build import model, weights
from nmtool.errors import ModelError, UsageError
from nmtool.hardware.profile import load

MLP = "g (float[b,12] x) => (float[b,4] y) { h = MatMul(x, w) r = Relu(h) y = Gemm<transB=1>(r, v, c) }"
W, V, C = weights(12, 6), weights(4, 6), weights(4)
X = np.random.default_rng(3).standard_normal((50, 12)).astype(np.float32)
HIDDEN = np.maximum(X @ W, 0)
CALIBRATED = ["periphery.input.range=calibrated", "periphery.output.range=calibrated", "periphery.input.bits=20"]


@pytest.fixture
def mlp():
    return model(MLP, w=W, v=V, c=C)


def calibrated(proto, *changes, **options):
    return nmtool.calibrate(proto, {"x": X}, "generic-imc-8bit", changes=[*CALIBRATED, *changes], **options)


def of(result, side):
    return {node.rpartition("/")[2]: each[side] for node, each in result.ranges.items()}


def test_the_largest_signals(mlp):
    result = calibrated(mlp)
    inputs, outputs = ([each[side] for each in result.ranges.values()] for side in ("input_range", "output_range"))
    np.testing.assert_allclose(inputs, [np.abs(X).max(), HIDDEN.max()], rtol=1e-6)
    sums = [np.abs(X @ W).max(), np.abs(HIDDEN @ V.T).max()]  # the bias is added behind the converter
    np.testing.assert_allclose(outputs, sums, rtol=1e-4)
    assert result.samples == 50


def test_batches_make_no_difference_to_the_largest(mlp):
    small = calibrated(mlp, data_options=nmtool.data.DataOptions(batch_size=7))
    for node, ranges in calibrated(mlp).ranges.items():
        for side, value in ranges.items():
            assert small.ranges[node][side] == pytest.approx(value, rel=1e-5)


def test_partial_sums_of_tiles(mlp):
    whole, per_tile = (
        calibrated(mlp, "periphery.tile.rows=5", f"periphery.output.per_tile={x}") for x in ("false", "true")
    )
    parts = [np.abs(X[:, k : k + 4] @ W[k : k + 4]).max() for k in (0, 4, 8)]  # three tiles of four rows
    first, *_ = per_tile.ranges.values()
    assert np.shape(first["output_range"]) == (1, 3, 1, 1)
    np.testing.assert_allclose(np.ravel(first["output_range"]), parts, rtol=1e-4)
    first, *_ = whole.ranges.values()
    assert first["output_range"] == pytest.approx(max(parts), rel=1e-4)


def test_a_percentile_is_that_of_the_batch(mlp):
    result = calibrated(mlp, "periphery.input.percentile=90")
    first, *_ = result.ranges.values()
    below = np.mean(np.abs(X) < first["input_range"])
    assert 0.89 < below <= 0.9


def test_the_file_makes_the_model_that_the_ranges_say(mlp, tmp_path):
    calibrated(mlp).save(tmp_path / "ranges.toml")
    stored = tomllib.loads((tmp_path / "ranges.toml").read_text())
    assert stored["samples"] == 50
    hardware = load(
        "generic-imc-8bit", [*CALIBRATED, "weights.devices=[]", "periphery.output.bits=20"], tmp_path / "ranges.toml"
    )
    noisy = nmtool.inject(mlp, noise=hardware).model
    np.testing.assert_allclose(nmtool.run(noisy, {"x": X})["y"], HIDDEN @ V.T + C, atol=1e-3)
    beyond = nmtool.run(noisy, {"x": 10 * X})["y"]  # is clipped
    assert np.abs(beyond).max() < 2 * np.abs(HIDDEN @ V.T + C).max()
    with pytest.raises(UsageError, match="exists"):
        calibrated(mlp).save(tmp_path / "ranges.toml")


def test_convolutions_on_tiles():
    proto = model(
        "g (float[b,4,5,5] x) => (float[b,3,5,5] y) { y = Conv<pads=[1,1,1,1]>(x, w) }", w=weights(3, 4, 3, 3)
    )
    x = np.random.default_rng(0).standard_normal((6, 4, 5, 5)).astype(np.float32)
    result = nmtool.calibrate(
        proto,
        {"x": x},
        "generic-imc-8bit",
        changes=[*CALIBRATED, "periphery.tile.rows=18", "periphery.output.per_tile=true"],
    )
    (ranges,) = result.ranges.values()
    halves = []
    for part in (slice(0, 2), slice(2, 4)):
        half = model(
            "g (float[b,2,5,5] x) => (float[b,3,5,5] y) { y = Conv<pads=[1,1,1,1]>(x, w) }",
            w=weights(3, 4, 3, 3)[:, part],
        )
        halves.append(np.abs(nmtool.run(half, {"x": x[:, part]})["y"]).max())
    np.testing.assert_allclose(np.ravel(ranges["output_range"]), halves, rtol=1e-4)


def test_what_cannot_be_calibrated(mlp):
    with pytest.raises(UsageError, match="nothing to calibrate"):
        nmtool.calibrate(mlp, {"x": X}, "pcm")
    with pytest.raises(ModelError, match="input_range of node"):
        nmtool.calibrate(mlp, {"x": np.zeros_like(X)}, "sram-imc")
    with pytest.raises(ModelError, match="noisy already"):
        nmtool.calibrate(nmtool.inject(mlp).model, {"x": X}, "sram-imc")
