"""The networks of onnx's light zoo: old exports whose weights are left out, here filled with random ones."""

from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test
from numpy.typing import NDArray
from onnx import numpy_helper

FOLDER = Path(onnx.backend.test.__file__).parent / "data/light"
LIGHT = sorted(path.stem.removeprefix("light_") for path in FOLDER.glob("light_*.onnx"))


def light(name: str) -> onnx.ModelProto:
    """The model, with an initializer in place of each ConstantOfShape node."""
    model = onnx.load(FOLDER / f"light_{name}.onnx")
    graph = model.graph
    stored = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    uses = {value: (node.op_type, index) for node in graph.node for index, value in enumerate(node.input)}
    weights, shapes = {}, set()
    for node in [node for node in graph.node if node.op_type == "ConstantOfShape"]:
        rng = np.random.default_rng(len(weights))
        weights[node.output[0]] = _array(rng, tuple(stored[node.input[0]]), *uses[node.output[0]])
        shapes.add(node.input[0])
        graph.node.remove(node)
    for entries in (graph.initializer, graph.input):
        kept = [entry for entry in entries if entry.name not in shapes]
        del entries[:]
        entries.extend(kept)
    if graph.node[-1].op_type == "Softmax":  # of large random logits it would hide all differences
        graph.output[0].name = graph.node.pop().input[0]
    graph.initializer.extend(numpy_helper.from_array(array, value) for value, array in weights.items())
    return model


def _array(rng: np.random.Generator, shape: tuple[int, ...], op_type: str, index: int) -> NDArray[np.float32]:
    """Weights that keep the size of activations."""
    if op_type in ("Conv", "Gemm") and index == 1:
        array = rng.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[1:]))
    elif op_type == "BatchNormalization" and index in (1, 4):
        array = rng.uniform(0.5, 1.5, shape)
    else:
        array = 0.1 * rng.standard_normal(shape)
    return array.astype(np.float32)
