"""Train a small CNN on scikit-learn's digits in plain numpy and write it as ONNX.

Usage: `python examples/digits/make_model.py digits.onnx`. The network is Conv-Relu-Conv-Relu-MaxPool-Gemm-Relu-Gemm.
A convolution is a matrix product over patches (im2col), so two layer types, a pooling step and Adam are all there is to
write. Seeded: the same numpy gives the same file.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from data import split
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, np.dtype[np.float32]]
Parameters = dict[str, Array]

EPOCHS, BATCH, LEARNING_RATE = 40, 64, 2e-3


def initial(rng: np.random.Generator) -> Parameters:
    """He-initialized weights (convolutions as [out, in, 3, 3], dense layers as [out, in]) and zero biases."""
    shapes = {"conv1": (16, 1, 3, 3), "conv2": (32, 16, 3, 3), "dense1": (64, 512), "dense2": (10, 64)}
    parameters = {}
    for layer, shape in shapes.items():
        std = np.sqrt(2 / np.prod(shape[1:]))
        parameters[f"{layer}.weight"] = rng.normal(0, std, shape).astype(np.float32)
        parameters[f"{layer}.bias"] = np.zeros(shape[0], np.float32)
    return parameters


def patches(x: Array) -> Array:
    """Every 3x3 neighborhood of a zero-padded image: [n, c, h, w] to [n, h, w, c * 9]."""
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, c * 9)


def convolve(x: Array, weight: Array, bias: Array) -> Array:
    """A 3x3 convolution with padding 1."""
    return (patches(x) @ weight.reshape(len(weight), -1).T + bias).transpose(0, 3, 1, 2)


def convolve_gradients(x: Array, weight: Array, upstream: Array) -> tuple[Array, Array, Array]:
    """Gradients of the loss by the input, the weight and the bias."""
    flat = upstream.transpose(0, 2, 3, 1).reshape(-1, len(weight))
    by_weight = (flat.T @ patches(x).reshape(len(flat), -1)).reshape(weight.shape)
    turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    return convolve(upstream, turned, np.zeros(len(turned), np.float32)), by_weight, flat.sum(0)


def gradients(p: Parameters, x: Array, labels: np.ndarray) -> Parameters:
    """Gradients of the mean cross entropy by every parameter: one forward and one backward pass."""
    n = len(x)
    a1 = np.maximum(convolve(x, p["conv1.weight"], p["conv1.bias"]), 0)
    a2 = np.maximum(convolve(a1, p["conv2.weight"], p["conv2.bias"]), 0)
    blocks = a2.reshape(n, 32, 4, 2, 4, 2)
    pooled = blocks.max((3, 5), keepdims=True)
    flat = pooled.reshape(n, -1)
    a3 = np.maximum(flat @ p["dense1.weight"].T + p["dense1.bias"], 0)
    logits = a3 @ p["dense2.weight"].T + p["dense2.bias"]

    shifted = np.exp(logits - logits.max(1, keepdims=True))
    d4 = shifted / shifted.sum(1, keepdims=True)
    d4[np.arange(n), labels] -= 1
    d4 /= n
    d3 = (d4 @ p["dense2.weight"]) * (a3 > 0)
    d_pooled = (d3 @ p["dense1.weight"]).reshape(pooled.shape)
    d2 = ((blocks == pooled) * d_pooled).reshape(a2.shape) * (a2 > 0)
    d1, conv2_weight, conv2_bias = convolve_gradients(a1, p["conv2.weight"], d2)
    _, conv1_weight, conv1_bias = convolve_gradients(x, p["conv1.weight"], d1 * (a1 > 0))
    return {
        "conv1.weight": conv1_weight,
        "conv1.bias": conv1_bias,
        "conv2.weight": conv2_weight,
        "conv2.bias": conv2_bias,
        "dense1.weight": d3.T @ flat,
        "dense1.bias": d3.sum(0),
        "dense2.weight": d4.T @ a3,
        "dense2.bias": d4.sum(0),
    }


def train(images: Array, labels: np.ndarray, seed: int = 0) -> Parameters:
    """Adam with a learning rate that falls to zero along a cosine."""
    rng = np.random.default_rng(seed)
    p = initial(rng)
    mean = {name: np.zeros_like(value) for name, value in p.items()}
    square = {name: np.zeros_like(value) for name, value in p.items()}
    edges = range(BATCH, len(images), BATCH)
    batches = [batch for _ in range(EPOCHS) for batch in np.split(rng.permutation(len(images)), edges)]
    for step, chosen in enumerate(batches):
        rate = LEARNING_RATE * (1 + np.cos(np.pi * step / len(batches))) / 2
        for name, gradient in gradients(p, images[chosen], labels[chosen]).items():
            mean[name] += 0.1 * (gradient - mean[name])
            square[name] += 0.001 * (gradient**2 - square[name])
            spread = np.sqrt(square[name] / (1 - 0.999 ** (step + 1))) + 1e-8
            p[name] -= np.float32(rate) * mean[name] / np.float32(1 - 0.9 ** (step + 1)) / spread
    return p


def to_onnx(p: Parameters) -> onnx.ModelProto:
    """The network as an ONNX model (opset 18): image [batch, 1, 8, 8] to logits [batch, 10]."""

    def layer(op: str, name: str, source: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(op, [source, f"{name}.weight", f"{name}.bias"], [name], name=name, **attributes)

    def relu(name: str) -> onnx.NodeProto:
        return helper.make_node("Relu", [name], [f"{name}.relu"], name=f"{name}.relu")

    nodes = [
        layer("Conv", "conv1", "image", pads=[1, 1, 1, 1]),
        relu("conv1"),
        layer("Conv", "conv2", "conv1.relu", pads=[1, 1, 1, 1]),
        relu("conv2"),
        helper.make_node("MaxPool", ["conv2.relu"], ["pool"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pool"], ["flat"], name="flat"),
        layer("Gemm", "dense1", "flat", transB=1),
        relu("dense1"),
        helper.make_node("Gemm", ["dense1.relu", "dense2.weight", "dense2.bias"], ["logits"], name="dense2", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value, name) for name, value in p.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def accuracy(model: onnx.ModelProto, images: Array, labels: np.ndarray) -> float:
    """Share of images whose largest logit is the label, by onnx's reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(model)
    (logits,) = evaluator.run(None, {"image": images})
    return float((logits.argmax(1) == labels).mean())


if __name__ == "__main__":
    training, test = split()
    digits = to_onnx(train(*training))
    onnx.save(digits, Path(sys.argv[1]))
    print(f"training accuracy {accuracy(digits, *training):.2%} on {len(training.label)} images")
    print(f"test accuracy {accuracy(digits, *test):.2%} on {len(test.label)} images")
