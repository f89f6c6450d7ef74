"""Weights in cells, by numpy and as a model that calls the cells' function."""

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import TensorProto, helper

from nmtool.noise.base import Channels
from nmtool.noise.cell import Cell
from nmtool.noise.numpy_chip import NumpyChip
from nmtool.ops import DOMAIN, VERSION
from nmtool.ops.chip import KINDS_OF_FAULT, cell_function
from nmtool.ops.primitives import primitive_functions

SEED, STREAM, TRIAL, RUN = 5, 77, 3, 9
SCALE, TIME = 0.7, 86400.0


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
