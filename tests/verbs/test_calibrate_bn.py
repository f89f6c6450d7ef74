"""Statistics under noise: what is written is what was measured, and what cannot be written is said."""

import json
import sys

import numpy as np
import onnx
import pytest

from build import model, weights
from nmtool.data import DataOptions
from nmtool.errors import ModelError, SetupError, UsageError
from nmtool.model import to_proto
from nmtool.noise.gaussian import Gaussian
from nmtool.payloads import stored_arrays
from nmtool.verbs.calibrate_bn import calibrate_bn
from nmtool.verbs.inject import inject
from nmtool.verbs.run import run

pytest.importorskip("torch")
from nmtool.training import parity

C = 6
ARRAYS = {
    "w": weights(C, 5, 1, 1),
    "scale": weights(C),
    "bias": weights(C, seed=1),
    "mean": np.zeros(C, np.float32),
    "var": np.ones(C, np.float32),
}
TEXT = """g (float[N,5,3,3] x) => (float[N,6,3,3] y) {
  [conv] h = Conv(x, w)  [norm] y = BatchNormalization(h, scale, bias, mean, var) }"""
SOURCE = model(TEXT, **ARRAYS)
DATA = {"x": weights(64, 5, 3, 3)}


def arrays(path):
    return {name: onnx.numpy_helper.to_array(tensor) for name, tensor in stored_arrays(onnx.load(path))}


def test_statistics_are_means_over_batches_under_noise(tmp_path):
    report = calibrate_bn(SOURCE, DATA, tmp_path / "out.onnx", eta=0.1, seed=5, data_options=DataOptions(batch_size=16))
    convolution = model("g (float[N,5,3,3] x) => (float[N,6,3,3] h) { [conv] h = Conv(x, w) }", w=ARRAYS["w"])
    noisy = inject(convolution, eta=0.1, seed=5)
    batches = [run(noisy.model, {"x": DATA["x"][16 * k : 16 * k + 16]}, trial=k)["h"] for k in range(4)]
    written = arrays(tmp_path / "out.onnx")
    mean = np.mean([h.mean((0, 2, 3)) for h in batches], axis=0)
    var = np.mean([h.var((0, 2, 3), ddof=1) for h in batches], axis=0)
    np.testing.assert_allclose(written["mean"], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(written["var"], var, rtol=1e-4)
    for name in ("w", "scale", "bias"):
        np.testing.assert_array_equal(written[name], ARRAYS[name])
    (node,) = report.nodes
    assert (node.node, node.reason, report.batches) == ("norm", "", 4)
    assert node.mean.norm == 0
    assert node.mean.change == pytest.approx(np.linalg.norm(mean), rel=1e-4)
    assert node.var.change == pytest.approx(np.linalg.norm(var - 1), rel=1e-4)


def test_the_file_says_how_it_was_made(tmp_path):
    settings = {"eta": 0.1, "noise": "lognormal", "seed": 5, "exclude": ["none"], "batches": 2}
    source = model(TEXT.replace("h = Conv", "h0 = Conv(x, w) [none] h = Conv"), **ARRAYS)
    calibrate_bn(source, DATA, tmp_path / "out.onnx", data_options=DataOptions(batch_size=16), **settings)
    written = onnx.load(tmp_path / "out.onnx")
    record = json.loads({entry.key: entry.value for entry in written.metadata_props}["nmtool.weights"])
    assert record["verb"] == "calibrate-bn"
    assert record["seed"] == 5
    assert record["settings"]["batches"] == 2
    assert record["settings"]["batch_size"] == 16
    assert record["settings"]["noise"]["model"] == "lognormal"
    assert record["settings"]["noise"]["eta"] == 0.1
    assert record["settings"]["placement"]["selection"]["exclude"] == ["none"]
    assert record["versions"].keys() == {"nmtool", "torch"}
    assert len(record["data_sha256"]) == len(record["source_sha256"]) == 64


def test_the_eta_of_a_noise_model_is_not_used(tmp_path):
    for name, noise in (("a", "gaussian"), ("b", Gaussian(eta=0.5))):
        calibrate_bn(SOURCE, DATA, tmp_path / f"{name}.onnx", noise=noise, eta=0.1)
    assert (arrays(tmp_path / "a.onnx")["var"] == arrays(tmp_path / "b.onnx")["var"]).all()


@pytest.mark.parametrize(("samples", "batches", "expected"), [(40, None, 2), (40, 1, 1), (10, None, 1), (64, 9, 4)])
def test_how_many_batches(samples, batches, expected, tmp_path):
    done = []
    report = calibrate_bn(
        SOURCE,
        {"x": DATA["x"][:samples]},
        tmp_path / "out.onnx",
        batches=batches,
        data_options=DataOptions(batch_size=16),
        progress=lambda *numbers: done.append(numbers),
    )
    assert report.batches == expected
    assert done == [(k + 1, expected) for k in range(expected)]


def test_what_cannot_be_written_back_is_kept_and_said(tmp_path):
    text = """g (float[N,5,3,3] x) => (float[N,6,3,3] y) {
      [conv] h = Conv(x, w)
      [a] i = BatchNormalization(h, scale, bias, mean, var)
      [b] j = BatchNormalization(i, scale, bias, zero, one)
      [c] k = BatchNormalization(j, scale, bias, zero, one)
      m = Identity(mean2)
      [d] y = BatchNormalization(k, scale, bias, m, var2) }"""
    more = {"zero": ARRAYS["mean"], "one": ARRAYS["var"], "mean2": ARRAYS["mean"], "var2": ARRAYS["var"]}
    report = calibrate_bn(model(text, **ARRAYS, **more), DATA, tmp_path / "out.onnx")
    assert [(node.node, node.mean is None, node.reason.split(" ")[-2:]) for node in report.nodes] == [
        ("a", False, [""]),
        ("b", True, ["other", "arrays"]),
        ("c", True, ["other", "arrays"]),
        ("d", True, ["a", "function"]),
    ]
    written = arrays(tmp_path / "out.onnx")
    assert (written["mean"] != 0).all()
    assert (written["zero"] == 0).all()
    document = json.loads(json.dumps(report.to_json()))
    assert document["nodes"][1]["mean"] is None
    with pytest.raises(ModelError, match="no running statistics can be written back: an exporter has merged"):
        calibrate_bn(model(TEXT.replace("mean, var", "bias, var"), **ARRAYS), DATA, tmp_path / "none.onnx")


def test_a_failed_check_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "allowed_difference", lambda _: -1.0)
    with pytest.raises(parity.CheckError, match="does not compute what torch does"):
        calibrate_bn(SOURCE, DATA, tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())


def test_refused(tmp_path, monkeypatch):
    output = tmp_path / "out.onnx"
    with pytest.raises(ModelError, match="no BatchNormalization nodes") as error:
        calibrate_bn(model("g (float[N,2] x) => (float[N,2] y) { y = MatMul(x, w) }", w=weights(2, 2)), DATA, output)
    assert "PRESERVE" in error.value.hint
    for message, settings in {
        "batches must be at least 1, not 0": {"batches": 0},
        "eta of noise model `gaussian` must be a finite number >= 0, not -1": {"eta": -1},
        "seed must be a 64-bit integer": {"seed": 2**63},
    }.items():
        with pytest.raises(UsageError, match=message):
            calibrate_bn(SOURCE, DATA, output, **settings)
    flat = "g (float[N,6] x) => (float[N,6] y) { h = MatMul(x, v)  y = BatchNormalization(h, scale, bias, mean, var) }"
    single = model(flat, v=weights(C, C), **ARRAYS)
    with pytest.raises(UsageError, match="a batch has no statistics"):
        calibrate_bn(single, {"x": weights(3, C)}, output, data_options=DataOptions(batch_size=1))
    with pytest.raises(ModelError, match="noisy already"):
        calibrate_bn(to_proto(inject(SOURCE).model), DATA, output)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SetupError, match="torch is not installed"):
        calibrate_bn(SOURCE, DATA, output)
    assert not list(tmp_path.iterdir())
