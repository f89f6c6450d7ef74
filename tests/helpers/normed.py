"""BatchNormalization: a network with it, and networks that get it."""

import numpy as np
import onnx
from running import Feeds, run_ort

from build import model, weights

EPSILON = 1e-5

NORMALIZED = model(
    "g (float[N,3,6,6] x) => (float[N,4] y) { h = Conv(x, w)  n = BatchNormalization(h, s, b, m, v)  r = Relu(n)"
    "  p = GlobalAveragePool(r)  f = Flatten(p)  y = Gemm(f, u) }",
    w=weights(8, 3, 3, 3),
    u=weights(8, 4),
    s=np.ones(8, np.float32),
    b=np.zeros(8, np.float32),
    m=weights(8) / 9,
    v=np.ones(8, np.float32),
)


def with_batch_norm(source: onnx.ModelProto, feeds: Feeds) -> onnx.ModelProto:
    """The model with a BatchNormalization behind each Conv that, with the statistics of `feeds`, changes nothing."""
    normed, probe = onnx.ModelProto(), onnx.ModelProto()
    normed.CopyFrom(source)
    probe.CopyFrom(source)
    convolutions = [node for node in normed.graph.node if node.op_type == "Conv"]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in convolutions)
    for node, values in zip(convolutions, run_ort(probe, feeds), strict=True):
        axes = tuple(axis for axis in range(values.ndim) if axis != 1)
        mean, var = values.mean(axes), values.var(axes)
        arrays = {"scale": np.sqrt(var + EPSILON), "bias": mean, "mean": mean, "var": var}
        names = [f"{node.name}.bn.{name}" for name in arrays]
        for name, array in zip(names, arrays.values(), strict=True):
            normed.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
        output, node.output[0] = node.output[0], f"{node.name}.raw"
        inputs = [node.output[0], *names]
        bn = onnx.helper.make_node("BatchNormalization", inputs, [output], f"{node.name}.bn", epsilon=EPSILON)
        normed.graph.node.insert(list(normed.graph.node).index(node) + 1, bn)
    return normed
