"""Hardware through the verbs: inject, strip, bake, run, sweep, distill and check take a profile."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import nmtool
from build import model, weights
from nmtool.errors import UsageError
from nmtool.hardware.profile import load, shipped

DYNAMIC = ["periphery.input.range=dynamic", "periphery.output.range=dynamic"]
CNN = """g (float[b,2,6,6] x) => (float[b,5] logits) {
  h = Conv<pads=[1,1,1,1]>(x, w, c)
  r = Relu(h)
  p = GlobalAveragePool(r)
  f = Flatten(p)
  logits = Gemm<transB=1>(f, v, d)
}"""
ARRAYS = {
    "w": weights(8, 2, 3, 3) / 3,
    "c": weights(8) / 9,
    "v": weights(5, 8),
    "d": weights(5) / 9,
}


X = np.random.default_rng(1).standard_normal((96, 2, 6, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def cnn():
    """A network whose classes are about equally frequent on X."""
    first = nmtool.run(model(CNN, **ARRAYS), {"x": X})["logits"]
    return model(CNN, **{**ARRAYS, "d": ARRAYS["d"] - first.mean(axis=0)})


@pytest.fixture(scope="module")
def data(cnn):
    x = X
    labels = nmtool.run(cnn, x)["logits"].argmax(axis=1)
    return {"x": x, "labels": labels}


def profile(name, *changes):
    table = load(name).table
    return load(name, [*(DYNAMIC if "periphery" in table else ()), *changes])


@pytest.mark.parametrize("name", shipped())
def test_every_profile_on_every_path(cnn, name):
    fine = ["periphery.input.bits=16", "periphery.output.bits=16"] if "periphery" in load(name).table else []
    fine += ["periphery.read_noise=0"] if name == "reram-wan" else []  # it changes where a bit of an input does
    injection = nmtool.inject(cnn, noise=profile(name, *fine), seed=5)
    proto = ir.to_proto(injection.model)
    onnx.checker.check_model(proto, full_check=True)
    assert [node.status for node in injection.report.nodes] == ["noisy"] * 2
    assert ir.to_proto(nmtool.strip(proto)) == ir.to_proto(ir.from_proto(cnn))
    x = {"x": np.random.default_rng(2).standard_normal((3, 2, 6, 6)).astype(np.float32)}
    options = {} if name == "ideal" else {"trial": 3}
    on_library = nmtool.run(proto, x, **options)["logits"]
    on_bodies = nmtool.run(proto, x, library=False, **options)["logits"]
    in_torch = nmtool.run(proto, x, backend="torch", **options)["logits"]
    clean = nmtool.run(cnn, x)["logits"]
    step = 1e-3 * np.abs(clean).max()  # a bit of difference may move a step of a converter
    np.testing.assert_allclose(on_bodies, on_library, atol=step)
    np.testing.assert_allclose(in_torch, on_library, atol=step)
    baked = nmtool.bake(proto, trial=3)
    assert not baked.functions
    np.testing.assert_allclose(nmtool.run(baked, x)["logits"], on_library, atol=step)
    if name == "ideal":
        np.testing.assert_allclose(on_library, clean, atol=1e-5)
    else:
        assert np.abs(on_library - clean).max() > 1e-3


def test_fine_converters_on_tiles_are_the_clean_model(cnn):
    changes = ["weights.devices=[]", "periphery.tile.rows=20", "periphery.output.bits=22", "periphery.input.bits=22"]
    hardware = profile("generic-imc-8bit", *changes)
    x = {"x": np.random.default_rng(2).standard_normal((3, 2, 6, 6)).astype(np.float32)}
    np.testing.assert_allclose(
        nmtool.run(nmtool.inject(cnn, noise=hardware).model, x)["logits"], nmtool.run(cnn, x)["logits"], atol=1e-4
    )


def test_slices_in_converters_of_their_own_are_the_clean_model(cnn):
    """12-bit weights in three slices, each with fine converters; also where no converter sees the slices."""
    x = {"x": np.random.default_rng(2).standard_normal((3, 2, 6, 6)).astype(np.float32)}
    weights_of = ["weights.devices=[]", "weights.slicing={bits=13, per_slice=4}"]
    fine = ["periphery.tile.rows=20", "periphery.output.bits=22", "periphery.input.bits=22"]
    for hardware in (profile("generic-imc-8bit", *weights_of, *fine), profile("ideal", *weights_of)):
        noisy = nmtool.inject(cnn, noise=hardware).model
        onnx.checker.check_model(ir.to_proto(noisy), full_check=True)
        np.testing.assert_allclose(nmtool.run(noisy, x)["logits"], nmtool.run(cnn, x)["logits"], atol=5e-3)
        assert ir.to_proto(nmtool.strip(noisy)) == ir.to_proto(ir.from_proto(cnn))


def test_what_is_digital_and_what_is_not_modelled():
    text = """g (float[4,1,3] x) => (float[4,1,1,2] y, float[4,1,7] z) {
      y = LSTM<hidden_size=2>(x, w, r)
      z = MatMul(x, v)
    }"""
    proto = model(text, w=weights(1, 8, 3), r=weights(1, 8, 2), v=weights(3, 7))
    lstm, recurrent, product = nmtool.inject(proto, noise=profile("generic-imc-8bit", "digital.last=1")).report.nodes
    assert lstm.reason == recurrent.reason
    assert "converters and tiles are not modelled: LSTM is one operator with several products" in lstm.reason
    assert product.status == "digital"
    assert product.reason == "one of the last 1, which the hardware computes digitally"


@pytest.mark.parametrize(
    "change", ["digital.nodes='head*'", "digital.ops=['LSTM']", "layers=[{nodes='stem', weights={model='gaussian'}}]"]
)
def test_a_profile_for_what_the_model_has_not(cnn, change):
    with pytest.raises(UsageError, match=r"no analog node matches: (head|LSTM|stem)"):
        nmtool.inject(cnn, noise=profile("pcm", change))


def test_a_kernel_that_no_tile_holds_stays_digital(cnn):
    report = nmtool.inject(cnn, noise=profile("generic-imc-8bit", "periphery.tile.rows=8")).report
    assert [node.status for node in report.nodes] == ["digital", "noisy"]
    assert "8" in report.nodes[0].reason


def test_calibrated_converters_need_ranges(cnn):
    with pytest.raises(UsageError, match="has a calibrated converter, but no input_range is given") as caught:
        nmtool.inject(cnn, noise=load("sram-imc"))
    assert "nmtool calibrate" in caught.value.hint


def test_sweep_over_a_parameter(cnn, data, tmp_path):
    bits = nmtool.sweep(cnn, data, noise=profile("generic-imc-8bit"), over="periphery.output.bits=2,8", trials=2)
    means = {(row.model, row.eta): row.summary.mean for row in bits.summary()}
    labels = ["model periphery.output.bits=2", "model periphery.output.bits=8"]
    assert bits.models == labels
    assert means[labels[0], 1.0] < means[labels[1], 1.0]
    bits.plot(tmp_path / "bits.svg")
    assert "periphery.output.bits" in (tmp_path / "bits.svg").read_text()
    with pytest.raises(UsageError, match="only hardware has parameters"):
        nmtool.sweep(cnn, data, over="time=1s,1h")
    with pytest.raises(UsageError, match="not a time"):
        nmtool.sweep(cnn, data, noise=profile("pcm"), over="time=1s,soon")


def test_what_each_run_draws_is_never_drawn_twice(cnn, data):
    hardware = profile("ideal", "periphery.read_noise=0.3")
    options = nmtool.data.DataOptions(batch_size=32)
    result = nmtool.sweep(cnn, data, noise=hardware, trials=4, metric="cosine", data_options=options)
    values = [record.value for record in result.points if record.point.eta == 1.0]
    assert len(set(values)) == 4


def test_distill_learns_to_bear_hardware(cnn, data, tmp_path):
    hardware = profile("generic-imc-8bit", "weights.devices.0.std=0.3")
    result = nmtool.distill(
        cnn, data, tmp_path / "robust.onnx", noise=hardware, settings={"epochs": 8, "batch_size": 16, "lr": 0.02}
    )
    assert np.mean(result.after.noisy) > np.mean(result.before.noisy)


def test_check_passes_what_inject_made_and_finds_what_was_changed(cnn, data):
    noisy = ir.to_proto(nmtool.inject(cnn, noise=profile("pcm"), seed=5).model)
    select = ["NM204", "NM301", "NM302", "NM303", "NM304"]
    assert nmtool.check(noisy, against=cnn, backends=["onnxruntime"], select=select).passed
    (cells,) = [function for function in noisy.functions if function.name == "PcmCell"]
    constants = [node.attribute[0].t for node in cells.node if node.op_type == "Constant"]
    (coefficient,) = [each for each in constants if (onnx.numpy_helper.to_array(each) == np.float32(1.9650)).all()]
    coefficient.CopyFrom(onnx.numpy_helper.from_array(np.array(3.0, np.float32)))
    report = nmtool.check(noisy, backends=["onnxruntime"], select=["NM301", "NM303"])
    assert {outcome.code for outcome in report.outcomes if outcome.status == "error"} == {"NM301", "NM303"}
