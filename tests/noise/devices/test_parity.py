"""Every device says the same to numpy and as an ONNX function, in each runtime, in cells of every kind.

The oracle is numpy. Tolerance: 2e-6 of the largest weight (exponentials and logarithms of float32 differ by some ulp).
"""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from running import has_library, run_ort, run_reference, session

from nmtool.noise.base import Channels
from nmtool.noise.cell import Cell
from nmtool.noise.device import Device
from nmtool.noise.devices import DEVICES
from nmtool.noise.devices.additive import Additive
from nmtool.noise.devices.faults import Faults
from nmtool.noise.devices.hermes import Hermes
from nmtool.noise.devices.levels import Levels
from nmtool.noise.devices.lognormal import Lognormal
from nmtool.noise.devices.pcm import Pcm
from nmtool.noise.devices.reram_cmo import ReramCmo
from nmtool.noise.devices.uniform import Uniform
from nmtool.noise.numpy_chip import NumpyChip
from nmtool.ops import DOMAIN, VERSION
from nmtool.ops.chip import KINDS_OF_FAULT, cell_function
from nmtool.ops.primitives import primitive_functions

SEED, STREAM, TRIAL, RUN = 5, 77, 3, 9
SCALE, ETA, TIME = 0.7, 0.8, 86400.0
DEVICE_MODELS: list[Device] = [
    *(device() for device in DEVICES.values()),
    Faults(low=0.2, high=0.1),
    Hermes(parallel=1),
    Levels(levels=5, tolerance=0.02),
    ReramCmo(acceptance=2.0),
    Additive(0.01, drawn="run"),
    Lognormal(0.2, drawn="run"),
    Uniform(0.1, drawn="run"),
]
CELLS = {  # settings, shape of the weights, where their channels are
    "pairs": ({"pairs": True, "compensation": "array", "readout_noise": 0.01}, (9, 11), Channels(0)),
    "per channel": ({"scale": "channel", "compensation": "channel"}, (4, 3, 2, 2), Channels(0)),
    "grouped": ({"scale": "channel", "compensation": "channel"}, (4, 3, 2), Channels(1, groups=2)),
    "no pairs": ({"pairs": False, "scale": "channel"}, (9, 11), Channels(1)),
    "no channels": ({"scale": "channel"}, (5, 6), Channels(None)),
}
BACKENDS = {
    "onnxruntime": run_ort,
    "library": lambda proto, feeds: run_ort(proto, feeds, library=True),
    "reference": run_reference,
}


def weights(shape: tuple[int, ...]) -> NDArray[np.float32]:
    w = np.random.default_rng(shape).standard_normal(shape).astype(np.float32)
    w.reshape(-1)[3] = 0
    return w


def in_numpy(cell: Cell, w: NDArray[np.float32], channels: Channels, scale: float = SCALE) -> NDArray[np.float32]:
    chip = NumpyChip(SEED, STREAM, trial=TRIAL, run=RUN, scale=np.float32(scale) * np.float32(cell.eta), time=TIME)
    split = w.reshape(channels.groups, -1, *w.shape[1:]) if channels.groups > 1 else w
    return cell.perturb(split, chip, channels.within(w.ndim)).reshape(w.shape)


def in_onnx(cell: Cell, shape: tuple[int, ...], channels: Channels, opset: int = 18) -> onnx.ModelProto:
    function = cell_function("Held", cell, opset, len(shape), channels)
    called = {node.op_type for node in function if node.domain == DOMAIN}
    functions = [each for name in sorted(called) for each in primitive_functions(name, opset, KINDS_OF_FAULT)]
    unique = {each.identifier(): each for each in [*functions, function]}
    names = [value.name for value in function.inputs]
    types = {"noise_trial": TensorProto.INT64, "noise_run": TensorProto.INT64}
    attributes = {"seed": SEED, "stream": STREAM, "dtype": int(TensorProto.FLOAT)}
    graph = helper.make_graph(
        [helper.make_node("Held", names, ["y"], domain=DOMAIN, **attributes)],
        "cell",
        [
            helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape if name == names[0] else [])
            for name in names
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, VERSION)]
    protos = [ir.serde.serialize_function(each) for each in unique.values()]
    return helper.make_model(graph, functions=protos, opset_imports=opsets, ir_version=9)


def feeds(proto: onnx.ModelProto, w: NDArray[np.float32], scale: float = SCALE) -> dict[str, NDArray]:
    given = {
        "noise_trial": np.array(TRIAL),
        "noise_run": np.array(RUN),
        "noise_scale": np.array(scale, np.float32),
        "noise_time": np.array(TIME, np.float32),
    }
    return {value.name: given.get(value.name, w) for value in proto.graph.input}


CASES = [
    (device, kind) for device in DEVICE_MODELS for kind in ("pairs", "no pairs") if kind == "pairs" or device.signed
]
CASES += [(Pcm(), kind) for kind in CELLS if kind not in ("pairs", "no pairs")]


@pytest.mark.parametrize(("device", "kind"), CASES, ids=str)
def test_the_function_computes_what_numpy_does(device: Device, kind: str) -> None:
    settings, shape, channels = CELLS[kind]
    cell = Cell((device,), eta=ETA, **settings)
    w, proto = weights(shape), in_onnx(cell, shape, channels)
    onnx.checker.check_model(proto, full_check=True)
    expected = in_numpy(cell, w, channels)
    assert expected.dtype == np.float32
    assert device == Faults() or np.abs(expected - w).max() > 1e-4
    for name, run in BACKENDS.items():
        if name != "library" or has_library():
            (y,) = run(proto, feeds(proto, w))
            np.testing.assert_allclose(y, expected, atol=2e-6 * np.abs(w).max(), rtol=0, err_msg=name)


def test_devices_in_a_row_draw_apart() -> None:
    cell = Cell((Levels(9), Pcm(), Additive(0.02), Additive(0.03, drawn="run")), compensation="array")
    w, channels = weights((8, 9)), Channels(0)
    proto = in_onnx(cell, w.shape, channels)
    np.testing.assert_allclose(run_ort(proto, feeds(proto, w))[0], in_numpy(cell, w, channels), atol=1e-5)
    nodes = cell_function("f", cell, 18, 2, channels)
    draws = [node.attributes["draw"].as_int() for node in nodes if "draw" in node.attributes]
    assert draws == list(range(len(draws)))


@pytest.mark.parametrize("device", DEVICE_MODELS, ids=repr)
def test_bodies_load_from_opset_13_on(device: Device) -> None:
    """Below opset 18 the values are the runtime's own, so they are only there."""
    proto = in_onnx(Cell((device,), scale="channel", compensation="channel"), (6, 7), Channels(0), opset=13)
    onnx.checker.check_model(proto, full_check=True)
    y = session(proto).run(None, feeds(proto, weights((6, 7))))[0]
    assert np.isfinite(y).all()


@pytest.mark.parametrize("device", DEVICE_MODELS, ids=repr)
def test_without_scale_and_drift_a_device_is_exact(device: Device) -> None:
    """But for the values that it cannot take."""
    w = weights((20, 30))
    chip = NumpyChip(SEED, STREAM, scale=0.0, time=0.0)
    y = Cell((device,)).perturb(w, chip)
    steps = {"levels": getattr(device, "levels", 0) - 1, "sram": 127}.get(device.name)
    step = np.abs(w).max() / (2 * steps) if steps else 0
    np.testing.assert_allclose(y, w, atol=step + 1e-6)
