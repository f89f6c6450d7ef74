"""Models of one operator on analog arrays, and what they should compute, in numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from running import run_ort

from nmtool.hardware.periphery import Periphery
from nmtool.noise.slicing import Slicing
from nmtool.ops import DOMAIN, VERSION
from nmtool.ops.analog import ANALOG_OPS
from nmtool.ops.converters import digits_function, quantize_function
from nmtool.ops.crossbar import crossbar_function, crossbar_of
from nmtool.ops.primitives import primitive_functions

Float = NDArray[np.float32]


def normal(seed: int, *shape: int) -> Float:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def stock_model(
    op: str, arrays: list[Float], attributes: Mapping[str, Any], opset: int, activation: int = 0
) -> ir.Model:
    """One stock operator: the input `activation` is fed as "x", the others are initializers."""
    names = ANALOG_OPS["", op].inputs
    values = [ir.val(name, ir.DataType.FLOAT, array.shape) for name, array in zip(names, arrays, strict=False)]
    x = values[activation]
    x.name = "x"
    for k, value in enumerate(values):
        if k != activation:
            value.const_value = ir.tensor(arrays[k], name=value.name)
    ranks = sorted(array.ndim for array in arrays[:2])
    y = ir.val("y", ir.DataType.FLOAT, [None] * (ranks[1] if ranks[0] > 1 else ranks[1] - 1))
    node = ir.node(op, values, dict(attributes), outputs=[y], name="node")
    held = [value for value in values if value is not x]
    graph = ir.Graph([x], [y], nodes=[node], initializers=held, opset_imports={"": opset}, name="g")
    return ir.Model(graph, ir_version=9)


def crossbar_model(
    model: ir.Model,
    operand: int,
    periphery: Periphery,
    *,
    ranges: Mapping[str, Any] | None = None,
    slicing: Slicing | None = None,
    per_channel: bool = False,
    array: Float | None = None,
) -> ir.Model:
    """The stock model with its node replaced; `array` is what the cells hold, if not the weights themselves."""
    graph, opset = model.graph, model.opset_imports[""]
    node = graph[0]
    clean = node.inputs[operand]
    assert clean is not None
    assert clean.const_value is not None
    shape = tuple(clean.const_value.shape)
    crossbar = crossbar_of(node, operand, shape, periphery, slicing=slicing, per_channel=per_channel)
    function = crossbar_function(crossbar.name, crossbar, opset)
    values = dict(zip(ANALOG_OPS["", node.op_type].inputs, node.inputs, strict=False))
    extras = {name: np.asarray(value, np.float32) for name, value in (ranges or {}).items()}
    if array is not None:
        extras[ANALOG_OPS["", node.op_type].inputs[operand]] = array
    given = {"noise_run": np.array(0, np.int64), "noise_scale": np.array(1, np.float32)} | extras
    values["clean"] = clean
    inputs = []
    for formal in function.inputs:
        name = formal.name or ""
        if name in given:
            values[name] = ir.val(f"{name}_given", const_value=ir.tensor(given[name], name=f"{name}_given"))
            if name.startswith("noise_"):
                values[name] = ir.val(name, const_value=ir.tensor(given[name], name=name))
                values[name].dtype, values[name].shape = ir.tensor(given[name]).dtype, ir.Shape([])
                graph.inputs.append(values[name])
            graph.register_initializer(values[name])
        inputs.append(values[name])
    added = [ir.AttrInt64("seed", 7), ir.AttrInt64("stream", 99), ir.AttrInt64("dtype", int(ir.DataType.FLOAT))]
    call = ir.Node(DOMAIN, function.name, inputs, [*node.attributes.values(), *added], name="node")
    ir.convenience.replace_nodes_and_values(graph, node, [node], [call], node.outputs, call.outputs)
    functions = [
        quantize_function(opset),
        digits_function(opset),
        *primitive_functions("GaussianNoise", opset),
        function,
    ]
    model.functions.update({each.identifier(): each for each in functions})
    model.opset_imports[DOMAIN] = VERSION
    if not any(value is clean for value in call.inputs):
        graph.initializers.pop(clean.name or "", None)
    return model


def run_crossbar(model: ir.Model, x: Float, library: bool = False, **feeds: Any) -> Float:
    return run_ort(model, {"x": x} | {name: np.asarray(value) for name, value in feeds.items()}, library=library)[0]


def run_torch(model: ir.Model, x: Float, **feeds: Any) -> Float:
    """What nmtool's interpreter computes; the noise inputs are fed, with their defaults."""
    import nmtool

    copy = model.clone()
    given = [value.name or "" for value in copy.graph.inputs if value.name != "x"]
    arrays = {"x": x} | {name: copy.graph.initializers.pop(name).const_value.numpy() for name in given}
    arrays |= {name: np.asarray(value) for name, value in feeds.items()}
    module = nmtool.to_torch(ir.to_proto(copy)).eval()
    import torch

    return module(*(torch.tensor(arrays[value.name or ""]) for value in copy.graph.inputs)).detach().numpy()
