"""Models of one convolution, in a residual block or alone, with what runtimes fuse into it."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def convolution(
    channels: int,
    inputs: int,
    kernel: int = 3,
    *,
    group: int = 1,
    stride: int = 1,
    bias: bool = False,
    normalized: bool = False,
    residual: bool = False,
) -> onnx.ModelProto:
    """x [N, I, 12, 12] -> Conv, BatchNormalization, Relu, Add of another convolution of x, each where it is wanted."""
    generator, nodes, initializers = np.random.default_rng(0), [], []

    def weights(name: str, *shape: int) -> str:
        initializers.append(numpy_helper.from_array(generator.standard_normal(shape, np.float32), name))
        return name

    def op(op_type: str, *operands: str, **attributes: object) -> str:
        name = f"{op_type.lower()}{len(nodes)}"
        nodes.append(helper.make_node(op_type, operands, [f"{name}_out"], name=name, **attributes))
        return f"{name}_out"

    space = {"strides": [stride] * 2, "pads": [kernel // 2] * 4}
    biases = [weights("b", channels)] if bias else []
    y = op("Conv", "x", weights("w", channels, inputs // group, kernel, kernel), *biases, group=group, **space)
    if normalized:
        statistics = [weights(name, channels) for name in ("scale", "offset", "mean")]
        initializers.append(numpy_helper.from_array(generator.uniform(0.5, 2, channels).astype(np.float32), "var"))
        y = op("BatchNormalization", y, *statistics, "var")
    if residual:
        y = op("Add", y, op("Conv", "x", weights("w2", channels, inputs, 1, 1), strides=[stride] * 2))
    y = op("Relu", y)
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", inputs, 12, 12])]
    output = helper.make_tensor_value_info(y, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "convolution", values, [output], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
