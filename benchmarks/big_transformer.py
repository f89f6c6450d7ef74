"""Time and memory of the verbs on a slice of a 7B language model: its shapes, random weights, float16, external data.

    python benchmarks/big_transformer.py [--layers 4] [--contrib] [--tied] [--all-rules] [--folder /tmp]

Llama's shapes: width 4096, 32 heads, MLP of 11008, 32000 tokens; RMSNorm and rotary embedding in standard operators,
or with --contrib in those of ONNX Runtime. Four layers and both tables are 2.1 GB. child.py says what "memory" is.
--all-rules checks the noisy model with all rules on ONNX Runtime as well, which takes many times as long.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from child import table
from machine import machine
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

WIDTH, HEADS, MLP, TOKENS, CONTEXT, LENGTH = 4096, 32, 11008, 32000, 2048, 16
HEAD = WIDTH // HEADS

VERBS = {
    "inject": "from nmtool import inject\ninject('model.onnx').save('noisy.onnx')",
    "run clean": "from nmtool import run\nrun('model.onnx', 'tokens.npz')",
    "sweep, 3 points": (
        "from nmtool import sweep\nsweep('noisy.onnx', 'tokens.npz', etas=[0.02], trials=2, metric='cosine')"
    ),
    "bake": (
        "from nmtool import bake\nfrom nmtool.model import save\n"
        "save(bake('noisy.onnx', trial=7), 'chip.onnx', own_data=True)"
    ),
    "check the file": (
        "from nmtool import check\n"
        "report = check('noisy.onnx', against='model.onnx', select=['NM0', 'NM1', 'NM304'], backends=['onnxruntime'])\n"
        "assert report.passed, report.to_json()"
    ),
}
ALL_RULES = {
    "check, all rules": (
        "from nmtool import check\n"
        "report = check('noisy.onnx', against='model.onnx', backends=['onnxruntime'], trials=20)\n"
        "assert report.passed, report.to_json()"
    ),
}


class Graph:
    """Nodes, and weights that are written to a data file as they come."""

    def __init__(self, folder: Path) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []
        self._file = (folder / "model.onnx.data").open("wb")
        self._noise = np.random.default_rng(0).standard_normal(TOKENS * WIDTH, np.float32).astype(np.float16)

    def add(self, op: str, *inputs: str, name: str, outputs: int = 1, **attributes: Any) -> str:
        results = [name, *("" for _ in range(outputs - 2)), *([f"{name}.sum"] if outputs > 1 else [])]
        self.nodes.append(helper.make_node(op, inputs, results, name, **attributes))
        return name

    def weight(self, name: str, *shape: int) -> str:
        """Random weights as a trained layer has them: of variance 1 / inputs."""
        count = int(np.prod(shape))
        data = (self._noise[:count] * np.float16(shape[0] ** -0.5)).tobytes()
        tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT16)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": "model.onnx.data", "offset": self._file.tell(), "length": len(data)}.items():
            tensor.external_data.add(key=key, value=str(value))
        self.tensors.append(tensor)
        self._file.write(data)
        return name

    def constant(self, name: str, values: object, dtype: type = np.int64) -> str:
        if all(each.name != name for each in self.tensors):
            array: NDArray[Any] = np.asarray(values, dtype)
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            self.tensors.append(helper.make_tensor(name, kind, array.shape, array.tobytes(), raw=True))
        return name

    def model(self) -> ModelProto:
        self._file.close()
        graph = helper.make_graph(
            self.nodes,
            "slice",
            [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["N", LENGTH])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT16, ["N", LENGTH, TOKENS])],
            self.tensors,
        )
        domains = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=domains, ir_version=8)

    def norm(self, x: str, name: str) -> str:
        """RMSNorm."""
        self.constant("two", 2.0, np.float32)
        self.constant("epsilon", 1e-5, np.float32)
        wide = self.add("Cast", x, name=f"{name}.wide", to=TensorProto.FLOAT)
        square = self.add("Pow", wide, "two", name=f"{name}.square")
        mean = self.add("ReduceMean", square, self.constant("last", [-1]), name=f"{name}.mean")
        shifted = self.add("Add", mean, "epsilon", name=f"{name}.shifted")
        root = self.add("Sqrt", shifted, name=f"{name}.root")
        unit = self.add("Div", wide, root, name=f"{name}.unit")
        narrow = self.add("Cast", unit, name=f"{name}.narrow", to=TensorProto.FLOAT16)
        return self.add("Mul", narrow, self.constant(f"{name}.weight", np.ones(WIDTH), np.float16), name=name)

    def rotate(self, x: str, name: str) -> str:
        """Rotary embedding of [N, heads, tokens, head]."""
        angles = np.outer(np.arange(LENGTH), 1e4 ** -np.linspace(0, 1, HEAD // 2, endpoint=False))
        angles = np.concatenate([angles, angles], axis=1)
        self.constant("cos", np.cos(angles), np.float16)
        self.constant("sin", np.sin(angles), np.float16)
        self.nodes.append(helper.make_node("Split", [x], [f"{name}.low", f"{name}.high"], axis=-1, num_outputs=2))
        negative = self.add("Neg", f"{name}.high", name=f"{name}.negative")
        turned = self.add("Concat", negative, f"{name}.low", name=f"{name}.turned", axis=-1)
        along = self.add("Mul", x, "cos", name=f"{name}.along")
        across = self.add("Mul", turned, "sin", name=f"{name}.across")
        return self.add("Add", along, across, name=name)

    def linear(self, x: str, name: str, inputs: int, outputs: int) -> str:
        return self.add("MatMul", x, self.weight(f"{name}.weight", inputs, outputs), name=name)

    def attention(self, x: str, name: str, contrib: bool) -> str:
        q, k, v = (self.linear(x, f"{name}.{part}", WIDTH, WIDTH) for part in "qkv")
        if contrib:
            angles = np.outer(np.arange(CONTEXT), 1e4 ** -np.linspace(0, 1, HEAD // 2, endpoint=False))
            self.constant("cosines", np.cos(angles), np.float16)
            self.constant("sines", np.sin(angles), np.float16)
            ends, total = self.constant("ends", [LENGTH - 1], np.int32), self.constant("total", LENGTH, np.int32)
            settings: dict[str, Any] = {"num_heads": HEADS, "kv_num_heads": HEADS, "do_rotary": 1}
            inputs = (q, k, v, "", "", ends, total, "cosines", "sines")
            context = self.add(
                "GroupQueryAttention", *inputs, name=f"{name}.context", domain="com.microsoft", **settings
            )
            self.nodes[-1].output.extend([f"{name}.keys", f"{name}.values"])
            return self.linear(context, f"{name}.o", WIDTH, WIDTH)
        apart = self.constant("apart", [0, LENGTH, HEADS, HEAD])
        q, k, v = (self.add("Reshape", part, apart, name=f"{part}.apart") for part in (q, k, v))
        q, k, v = (self.add("Transpose", part, name=f"{part}.heads", perm=[0, 2, 1, 3]) for part in (q, k, v))
        q, k = self.rotate(q, f"{name}.q.turned"), self.rotate(k, f"{name}.k.turned")
        k = self.add("Transpose", k, name=f"{name}.k.columns", perm=[0, 1, 3, 2])
        scores = self.add("MatMul", q, k, name=f"{name}.scores")
        scale = self.constant("scale", HEAD**-0.5, np.float16)
        scaled = self.add("Mul", scores, scale, name=f"{name}.scaled")
        causal = self.constant("causal", np.triu(np.full((LENGTH, LENGTH), -6e4), 1), np.float16)
        masked = self.add("Add", scaled, causal, name=f"{name}.masked")
        shares = self.add("Softmax", masked, name=f"{name}.shares", axis=-1)
        context = self.add("MatMul", shares, v, name=f"{name}.context")
        context = self.add("Transpose", context, name=f"{name}.back", perm=[0, 2, 1, 3])
        flat = self.add("Reshape", context, self.constant("flat", [0, LENGTH, WIDTH]), name=f"{name}.flat")
        return self.linear(flat, f"{name}.o", WIDTH, WIDTH)

    def mlp(self, x: str, name: str) -> str:
        gate, up = (self.linear(x, f"{name}.{part}", WIDTH, MLP) for part in ("gate", "up"))
        sigmoid = self.add("Sigmoid", gate, name=f"{name}.sigmoid")
        silu = self.add("Mul", gate, sigmoid, name=f"{name}.silu")
        return self.linear(self.add("Mul", silu, up, name=f"{name}.gated"), f"{name}.down", MLP, WIDTH)


def make(folder: Path, layers: int, contrib: bool, tied: bool) -> None:
    graph = Graph(folder)
    x = graph.add("Gather", graph.weight("embedding", TOKENS, WIDTH), "tokens", name="embedded")
    for k in range(layers):
        attended = graph.attention(graph.norm(x, f"{k}.norm1"), f"{k}.attention", contrib)
        if contrib:
            scale = graph.constant(f"{k}.norm2.weight", np.ones(WIDTH), np.float16)
            options = {"epsilon": 1e-5, "domain": "com.microsoft"}
            name = f"{k}.norm2"
            normed = graph.add("SkipSimplifiedLayerNormalization", attended, x, scale, name=name, outputs=4, **options)
            x = f"{name}.sum"
        else:
            x = graph.add("Add", attended, x, name=f"{k}.added")
            normed = graph.norm(x, f"{k}.norm2")
        x = graph.add("Add", graph.mlp(normed, f"{k}.mlp"), x, name=f"{k}.out")
    x = graph.norm(x, "norm")
    if tied:
        columns = graph.add("Transpose", "embedding", name="head.columns", perm=[1, 0])
        graph.add("MatMul", x, columns, name="head")
    else:
        graph.linear(x, "head", WIDTH, TOKENS)
    graph.nodes[-1].output[0] = "logits"
    (folder / "model.onnx").write_bytes(graph.model().SerializeToString())
    tokens = np.random.default_rng(1).integers(TOKENS, size=(1, LENGTH))
    np.savez(folder / "tokens.npz", tokens=tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--contrib", action="store_true")
    parser.add_argument("--tied", action="store_true")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--all-rules", action="store_true")
    options = parser.parse_args()
    verbs = VERBS | ALL_RULES if options.all_rules else VERBS
    print(machine("numpy", "onnx", "onnxruntime"))
    with tempfile.TemporaryDirectory(prefix="nmtool-big-", dir=options.folder) as name:
        folder = Path(name)
        start = time.perf_counter()
        make(folder, options.layers, options.contrib, options.tied)
        size = (folder / "model.onnx.data").stat().st_size
        print(f"{options.layers} layers, {size / 1e9:.2f} GB of float16, made in {time.perf_counter() - start:.0f} s\n")
        table(verbs, folder)


if __name__ == "__main__":
    main()
