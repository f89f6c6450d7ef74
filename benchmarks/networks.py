"""Networks of known topology with random weights, made on the spot: speed does not depend on the values."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes and weights of a model."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._generator = np.random.default_rng(0)

    def weights(self, *shape: int) -> str:
        """A random array whose product with standard normal inputs, along its first long axis, is standard normal."""
        fan_in = next(size for size in shape if size > 1)
        return self.constant(self._generator.standard_normal(shape, np.float32) / np.float32(np.sqrt(fan_in)))

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op_type}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], name=name, **attributes))
        return name

    def model(self, shape: list[int | str], output: str, output_shape: list[int | str]) -> ModelProto:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, output_shape)
        graph = helper.make_graph(self.nodes, "benchmark", [x], [y], self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def linear(*widths: int) -> ModelProto:
    """MatMuls from each width to the next one."""
    build, x = Builder(), "x"
    for inputs, channels in itertools.pairwise(widths):
        x = build.op("MatMul", x, build.weights(inputs, channels))
    return build.model(["rows", widths[0]], x, ["rows", widths[-1]])


def transformer(layers: int, width: int, heads: int, sequence: int) -> ModelProto:
    """Encoder layers, normalized first, with feed-forward parts of four times the width."""
    build = Builder()
    scale = build.constant(np.array(1 / np.sqrt(width / heads), np.float32))
    split = build.constant(np.array([0, sequence, heads, width // heads]))
    joined = build.constant(np.array([0, sequence, width]))

    def normalized(x: str) -> str:
        ones, zeros = build.constant(np.ones(width, np.float32)), build.constant(np.zeros(width, np.float32))
        return build.op("LayerNormalization", x, ones, zeros)

    def dense(x: str, inputs: int, channels: int) -> str:
        bias = build.constant(np.zeros(channels, np.float32))
        return build.op("Add", build.op("MatMul", x, build.weights(inputs, channels)), bias)

    def by_head(x: str, permutation: list[int]) -> str:
        return build.op("Transpose", build.op("Reshape", dense(x, width, width), split), perm=permutation)

    def gelu(x: str) -> str:
        root, one, half = (build.constant(np.array(value, np.float32)) for value in (np.sqrt(2), 1, 0.5))
        erf = build.op("Add", build.op("Erf", build.op("Div", x, root)), one)
        return build.op("Mul", build.op("Mul", x, erf), half)

    x = "x"
    for _ in range(layers):
        y = normalized(x)
        query, key, value = (by_head(y, perm) for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
        attention = build.op("Softmax", build.op("Mul", build.op("MatMul", query, key), scale), axis=-1)
        y = build.op("Transpose", build.op("MatMul", attention, value), perm=[0, 2, 1, 3])
        x = build.op("Add", x, dense(build.op("Reshape", y, joined), width, width))
        x = build.op("Add", x, dense(gelu(dense(normalized(x), width, 4 * width)), 4 * width, width))
    return build.model(["batch", sequence, width], x, ["batch", sequence, width])


def lstm(layers: int, width: int, sequence: int) -> ModelProto:
    """LSTM layers, each as wide as its input."""
    build, x = Builder(), "x"
    axis = build.constant(np.array([1]))
    for _ in range(layers):
        matrices = [build.weights(1, 4 * width, width) for _ in "WR"]
        x = build.op("Squeeze", build.op("LSTM", x, *matrices, hidden_size=width), axis)
    return build.model([sequence, "batch", width], x, [sequence, "batch", width])


def resnet50() -> ModelProto:
    """The topology of onnx's light_resnet50, whose weights are ConstantOfShape nodes, with random weights."""
    model = onnx.load(Path(onnx.__file__).parent / "backend/test/data/light/light_resnet50.onnx")
    shapes = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    generator = np.random.default_rng(0)
    nodes = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            nodes.append(node)
            continue
        shape = shapes[node.input[0]]
        fan_in = np.prod(shape[1:]) if len(shape) > 1 else 1
        values = generator.standard_normal(shape) * np.sqrt(2 / fan_in) if len(shape) > 1 else np.full(shape, 0.5)
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    data = model.graph.input[0]
    data.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.input[:]
    model.graph.input.append(data)
    for node in model.graph.node:
        if node.op_type == "Reshape":  # the batch of 1 is baked into its shape
            model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 2048]), "flat"))
            node.input[1] = "flat"
    model.ir_version = 8
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    return onnx.version_converter.convert_version(model, 13)
