"""What one standard normal costs: nanoseconds per normal, against numpy and onnxruntime in the same run.

    python benchmarks/kernel.py [--repeats 15] [--json results.json]

Rows named after a SIMD level draw into a buffer in memory through the C interface of the library; the others run the
node in an onnxruntime session, where GaussianNoise also reads x and adds. Each figure is the median of the repeats,
then the fastest; repeats alternate between the rows so that a busy machine disturbs all of them alike.
"""

import argparse
import ctypes
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from machine import machine
from onnx import TensorProto, helper

from nmtool.library import library_path

SIZES = {"256 KiB": 1 << 16, "16 MiB": 1 << 22}  # the first fits an L2 cache, the second does not
LARGEST = max(SIZES.values())


def level_rows(size: int) -> dict[str, Callable[[], object]]:
    library = ctypes.CDLL(str(library_path()))
    library.nmtool_simd_levels.restype = ctypes.c_char_p
    levels = library.nmtool_simd_levels().split(b",")
    pool = ThreadPoolExecutor(2)

    def row(level: bytes, threads: int) -> Callable[[], object]:
        count = min(size, LARGEST // threads)
        outs = [np.empty(count, np.float32) for _ in range(threads)]
        pointers = [out.ctypes.data_as(ctypes.c_void_p) for out in outs]
        integers = [ctypes.c_int64(value) for value in (0, count, 1, 2, 3)]  # start, count, seed, stream, trial

        def draw(thread: int) -> None:
            for _ in range(LARGEST // threads // count):
                library.nmtool_normals(pointers[thread], *integers, ctypes.c_int32(0), level)

        return lambda: list(pool.map(draw, range(threads)))

    rows = {f"{level.decode()}, 1 thread": row(level, 1) for level in levels}
    return rows | {f"{levels[-1].decode()}, 2 threads": row(levels[-1], 2)}


def repeated(function: Callable[[], object], times: int) -> Callable[[], object]:
    """The function several times in a row, so that a small buffer stays in its cache."""

    def run() -> None:
        for _ in range(times):
            function()

    return run


def session_row(node: str, size: int, threads: int) -> Callable[[], object]:
    make_node = {
        "GaussianNoise": partial(
            helper.make_node, node, ["x", "std", "trial", "one"], domain="nmtool", seed=1, stream=2
        ),
        "RandomNormalLike": partial(helper.make_node, node, ["x"]),
    }[node]
    constants = [
        helper.make_tensor("std", TensorProto.FLOAT, [1], [0.1]),
        helper.make_tensor("trial", TensorProto.INT64, [], [3]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
    ]
    graph = helper.make_graph(
        [make_node(["y"])],
        "benchmark",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [size])],
        constants,
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nmtool", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # into the time of the next row
    options.register_custom_ops_library(str(library_path()))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("x", np.zeros(size, np.float32))
    binding.bind_ortvalue_output("y", onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(size, np.float32)))
    return lambda: session.run_with_iobinding(binding)


def rows(size: int) -> dict[str, Callable[[], object]]:
    """What to measure: each one makes as many numbers as the largest buffer holds, in buffers of a size."""
    generator, out = np.random.default_rng(0), np.empty(size, np.float32)
    others = {
        "GaussianNoise node, 1 thread": session_row("GaussianNoise", size, 1),
        "GaussianNoise node, 2 threads": session_row("GaussianNoise", size, 2),
        "numpy standard_normal, 1 thread": lambda: generator.standard_normal(dtype=np.float32, out=out),
        "RandomNormalLike node, 1 thread": session_row("RandomNormalLike", size, 1),
    }
    return level_rows(size) | {name: repeated(function, LARGEST // size) for name, function in others.items()}


def measure(size: int, repeats: int) -> dict[str, dict[str, float]]:
    """Nanoseconds per normal of each row: median and fastest."""
    functions = rows(size)
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(1 + repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            samples[name].append((time.perf_counter() - start) / LARGEST * 1e9)
    warm = {name: values[1:] for name, values in samples.items()}
    return {name: {"median": statistics.median(values), "fastest": min(values)} for name, values in warm.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    print(machine("numpy", "onnxruntime"))
    results = {label: measure(size, arguments.repeats) for label, size in SIZES.items()}
    print(f"{'ns per normal: median, fastest':34}" + "".join(f"{label:>16}" for label in results))
    for name in results[next(iter(SIZES))]:
        cells = (f"{result[name]['median']:10.2f}{result[name]['fastest']:6.2f}" for result in results.values())
        print(f"{name:34}" + "".join(cells))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
