"""What noise costs a whole model: the time of a run with fresh noise in every weight, as a ratio to the clean model.

    python benchmarks/models.py [--pairs 15] [--threads 2] [--resnet32 model.onnx] [--json results.json]

Clean and noisy runs alternate in one process, so that a busy machine disturbs both; each figure is the median over the
pairs. `library` runs the noise in the operator library, `RandomNormalLike` is the plain rewrite on ONNX Runtime's own
random operator (the body that a model below opset 18 carries). Sessions use all of ONNX Runtime's optimizations.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import nmtool

RESNET32 = Path(__file__).parents[2] / "shared" / "models" / "resnet32-cifar10.onnx"


def linear(width: int) -> onnx.ModelProto:
    weights = np.random.default_rng(0).standard_normal((width, width)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def resnet50() -> onnx.ModelProto:
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
    return model


def cases(resnet32: Path) -> Iterator[tuple[str, onnx.ModelProto, tuple[int, ...], list[int]]]:
    """Name, model, shape of one sample, batch sizes."""
    yield "linear 1024", linear(1024), (1024,), [1, 32]
    if resnet32.is_file():
        yield "ResNet-32 CIFAR", onnx.load(resnet32), (3, 32, 32), [32, 256]
    else:
        print(f"ResNet-32 left out: no file {resnet32} (name one with --resnet32)")
    yield "ResNet-50 topology", resnet50(), (3, 224, 224), [1, 8]


def measure(model: onnx.ModelProto, sample: tuple[int, ...], batch: int, pairs: int, threads: int) -> dict[str, float]:
    noisy = nmtool.inject(model, eta=0.05).model
    sessions = {
        "clean": nmtool.session(model, threads=threads),
        "library": nmtool.session(noisy, threads=threads),
        "RandomNormalLike": nmtool.session(noisy, threads=threads, library=False),
    }
    x = np.random.default_rng(1).standard_normal((batch, *sample)).astype(np.float32)
    name = sessions["clean"].get_inputs()[0].name

    def run(which: str, trial: int) -> float:
        feeds = {name: x} if which == "clean" else {name: x, "noise_trial": np.array(trial)}
        start = time.perf_counter()
        sessions[which].run(None, feeds)
        return time.perf_counter() - start

    once = max(run("clean", 0), run("clean", 0))
    repeats = max(1, int(0.02 / once))  # short runs are timed in groups of about 20 ms
    rows = []
    for pair in range(pairs + 1):
        rows.append(
            {which: sum(run(which, pair * repeats + k) for k in range(repeats)) / repeats for which in sessions}
        )
    rows = rows[1:]  # the first one warms up
    result = {which: statistics.median(row[which] / row["clean"] for row in rows) for which in sessions}
    return result | {"clean_ms": 1e3 * statistics.median(row["clean"] for row in rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resnet32", type=Path, default=RESNET32)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(f"onnxruntime {onnxruntime.__version__}, {arguments.threads} threads, load average {os.getloadavg()[0]:.1f}")
    print(f"{'model':<20} {'batch':>5} {'clean ms':>9} {'library':>8} {'RandomNormalLike':>17}")
    results = []
    for name, model, sample, batches in cases(arguments.resnet32):
        for batch in batches:
            row = measure(model, sample, batch, arguments.pairs, arguments.threads)
            results.append({"model": name, "batch": batch, **row})
            ratios = f"{row['library']:>7.2f}x {row['RandomNormalLike']:>16.2f}x"
            print(f"{name:<20} {batch:>5} {row['clean_ms']:>9.2f} {ratios}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
