"""Arrays held in cells: every backend computes what numpy does, and strip and bake are the ends of the same rope.

The oracle is nmtool.passes.cells.perturbed: the device models in numpy, with the random numbers of the specification.
"""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from running import has_library, run_ort, run_reference

import nmtool
from build import model, weights
from nmtool.errors import ModelError, UsageError
from nmtool.hardware.profile import load
from nmtool.noise import noise_model
from nmtool.noise.base import Channels
from nmtool.noise.cell import Cell
from nmtool.noise.devices import DEVICES
from nmtool.noise.numpy_chip import NumpyChip
from nmtool.noise.stream import stream_of
from nmtool.passes.cells import perturbed
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import inject
from nmtool.verbs.strip import strip

SEED, TRIAL, RUN, SCALE, TIME = 21, 6, 4, 0.75, 3600.0
MODELS = {
    "MatMul": ("g (float[2,5] x) => (float[2,3] y) { y = MatMul(x, w) }", (5, 3), Channels(1)),
    "Conv": ("g (float[1,4,5,5] x) => (float[1,6,3,3] y) { y = Conv<group=2>(x, w) }", (6, 2, 3, 3), Channels(0)),
    "ConvTranspose": (
        "g (float[1,4,4,4] x) => (float[1,4,6,6] y) { y = ConvTranspose<group=2>(x, w) }",
        (4, 2, 3, 3),
        Channels(1, 2),
    ),
}
NOISE = {"noise_trial": TRIAL, "noise_run": RUN, "noise_scale": SCALE, "noise_time": TIME}


def cell(device, **options):
    return noise_model(device, {"scale": "channel", "compensation": "channel", "readout_noise": 0.01, **options})


def fed(injection, feeds):
    names = {value.name for value in injection.model.graph.inputs}
    types = {"noise_trial": np.int64, "noise_run": np.int64, "noise_scale": np.float32, "noise_time": np.float32}
    return feeds | {name: np.array(value, types[name]) for name, value in NOISE.items() if name in names}


def held(device, w, channels):
    chip = NumpyChip(SEED, stream_of("w"), trial=TRIAL, run=RUN, scale=SCALE, time=TIME)
    return perturbed(cell(device), w, channels, chip)


@pytest.mark.parametrize("op_type", MODELS)
@pytest.mark.parametrize("device", DEVICES)
def test_every_backend_computes_what_numpy_does(device, op_type):
    text, shape, channels = MODELS[op_type]
    w = weights(*shape)
    proto = model(text, w=w)
    proto.opset_import[0].version = 18
    feeds = {
        "x": np.random.default_rng(0)
        .standard_normal([d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim])
        .astype(np.float32)
    }
    stock = onnx.ModelProto()
    stock.CopyFrom(proto)
    noisy = held(device, w, channels)
    stock.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(noisy, "w"))
    (expected,) = run_ort(stock, feeds)
    injection = inject(proto, noise=cell(device), seed=SEED)
    onnx.checker.check_model(ir.to_proto(injection.model), full_check=True)
    tolerance = {"rtol": 0, "atol": 2e-5 * np.abs(expected).max()}
    (on_bodies,) = run_ort(injection.model, fed(injection, feeds))
    np.testing.assert_allclose(on_bodies, expected, **tolerance)
    if has_library():
        (on_library,) = run_ort(injection.model, fed(injection, feeds), library=True)
        np.testing.assert_allclose(on_library, expected, **tolerance)
    baked = bake(
        injection.model, trial=TRIAL, scale=SCALE, run=RUN, time=TIME if "noise_time" in fed(injection, {}) else None
    )
    np.testing.assert_allclose(baked.graph.initializers["w"].const_value.numpy(), noisy, atol=1e-5)
    assert not baked.functions
    assert ir.to_proto(strip(injection.model)) == ir.to_proto(ir.from_proto(proto))


def test_the_reference_evaluator_and_torch():
    text, shape, _ = MODELS["Conv"]
    proto = model(text, w=weights(*shape))
    proto.opset_import[0].version = 18
    injection = inject(proto, noise=cell("pcm"), seed=SEED)
    feeds = fed(injection, {"x": np.ones((1, 4, 5, 5), np.float32)})
    (expected,) = run_ort(injection.model, feeds)
    (reference,) = run_reference(injection.model, feeds)
    np.testing.assert_allclose(reference, expected, atol=1e-4)
    outputs = nmtool.run(
        injection.model, {"x": feeds["x"]}, trial=TRIAL, run=RUN, scale=SCALE, time=TIME, backend="torch"
    )
    np.testing.assert_allclose(outputs["y"], expected, atol=1e-5)


def test_time_and_run_matter():
    text, shape, _ = MODELS["MatMul"]
    injection = inject(model(text, w=weights(*shape)), noise=Cell((DEVICES["pcm"](),)), seed=SEED, opset=18)
    x = {"x": np.ones((2, 5), np.float32)}
    now, later, again = (nmtool.run(injection.model, x, time=time)["y"] for time in (0.0, "1y", "1y"))
    assert np.abs(later).sum() < np.abs(now).sum()  # it drifts
    np.testing.assert_array_equal(later, again)
    assert (nmtool.run(injection.model, x, run=1)["y"] != nmtool.run(injection.model, x, run=2)["y"]).any()
    noise_free = nmtool.run(injection.model, x, scale=0.0)["y"]
    np.testing.assert_array_equal(noise_free, nmtool.run(injection.model, x, scale=0.0, trial=9, run=3)["y"])


def test_an_array_is_held_once_for_all_its_users():
    text = "g (float[2,3] x) => (float[2,3] y) { h = MatMul(x, w) y = MatMul(h, w) }"
    injection = inject(model(text, w=weights(3, 3)), noise="pcm", opset=18)
    assert [node.op_type for node in injection.model.graph] == ["PcmCell", "MatMul", "MatMul"]
    assert sum(node.status == "noisy" for node in injection.report.nodes) == 2


def test_users_of_an_array_that_want_other_cells_are_refused():
    proto = model("g (float[2,3] x) => (float[2,3] y) { h = MatMul(x, w) y = MatMul(h, w) }", w=weights(3, 3))
    for node, name in zip(proto.graph.node, ("first", "second"), strict=True):
        node.name = name
    layers = [{"nodes": "second", "weights": {"devices": [{"name": "pcm"}], "scale": "channel"}}]
    hardware = load({**load("pcm").table, "weights": {"devices": [{"name": "pcm"}]}, "layers": layers})
    with pytest.raises(ModelError, match="array 'w' cannot be held as node 'second' wants it"):
        inject(proto, noise=hardware)


def test_recurrent_weights_are_held_too():
    text = "g (float[4,1,3] x) => (float[4,1,1,2] y) { y = LSTM<hidden_size=2>(x, w, r) }"
    proto = model(text, w=weights(1, 8, 3), r=weights(1, 8, 2))
    injection = inject(proto, noise="hermes", opset=18)
    assert [node.array for node in injection.report.nodes if node.status == "noisy"] == ["w", "r"]
    assert all(node.sigma_max > 0.001 for node in injection.report.nodes)


def test_fresh_noise_is_that_of_the_run():
    text, shape, _ = MODELS["MatMul"]
    injection = inject(model(text, w=weights(*shape)), noise="pcm", fresh=True, opset=18)
    x = {"x": np.ones((2, 5), np.float32)}
    session = nmtool.session(injection.model)
    assert (session.run(None, x)[0] != session.run(None, x)[0]).any()
    with pytest.raises(UsageError, match="nothing is drawn at every run"):
        inject(model(text, w=weights(*shape)), noise="additive", fresh=True, opset=18)


def test_what_is_refused():
    text, shape, _ = MODELS["MatMul"]
    proto = model(text, w=weights(*shape))
    proto.opset_import[0].version = 12
    with pytest.raises(ModelError, match="devices need 13"):
        inject(proto, noise="pcm")
    with pytest.raises(UsageError, match="per_channel sizes noise models"):
        inject(proto, noise="pcm", per_channel=True)
    with pytest.raises(UsageError, match="takes no time"):
        bake(inject(model(text, w=weights(*shape)), noise="additive", opset=18).model, time=3)
