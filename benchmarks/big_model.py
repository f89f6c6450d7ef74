"""Time and memory of inject, bake and strip on a model of 2.5 GB with external data, against copying its files.

    python benchmarks/big_model.py [--gigabytes 2.5] [--folder /tmp]

The inline model, of 0.8 GB, holds its weights itself. Each verb runs in a process of its own; child.py says what
"memory" is. Linux only.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from child import table
from machine import machine
from onnx import TensorProto, helper

ROWS, COLUMNS = 4096, 16384
LAYER_BYTES = ROWS * COLUMNS * 4

VERBS = {
    "inject": "from nmtool.verbs.inject import inject\ninject('model.onnx').save('noisy.onnx')",
    "inject to another folder": "from nmtool.verbs.inject import inject\ninject('model.onnx').save('other/noisy.onnx')",
    "inject, per channel": (
        "from nmtool.verbs.inject import inject\ninject('model.onnx', per_channel=True).save('channels.onnx')"
    ),
    "inject, inline weights": (
        "from nmtool.verbs.inject import inject\ninject('inline.onnx').save('inline-noisy.onnx')"
    ),
    "strip": (
        "from nmtool.model import save\nfrom nmtool.verbs.strip import strip\nsave(strip('noisy.onnx'), 'clean.onnx')"
    ),
    "bake": (
        "from nmtool.model import save\nfrom nmtool.verbs.bake import bake\n"
        "save(bake('noisy.onnx', trial=7), 'chip.onnx', own_data=True)"
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.5)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    print(machine("onnx", "numpy"))
    layers = max(1, round(options.gigabytes * 1e9 / LAYER_BYTES))
    with tempfile.TemporaryDirectory(prefix="nmtool-big-", dir=options.folder) as name:
        folder = Path(name)
        (folder / "other").mkdir()
        make(folder, layers)
        size = (folder / "model.onnx.data").stat().st_size
        print(f"{layers} MatMuls of {ROWS} x {COLUMNS}, float32: {size / 1e9:.2f} GB in model.onnx.data\n")
        start = time.perf_counter()
        shutil.copyfile(folder / "model.onnx.data", folder / "copy.data")
        print(f"{'copy of the data file':26}{time.perf_counter() - start:9.1f}")
        (folder / "copy.data").unlink()
        make_inline(folder, min(layers, 3))
        start = time.perf_counter()
        shutil.copyfile(folder / "inline.onnx", folder / "copy.onnx")
        print(f"{'copy of the inline model':26}{time.perf_counter() - start:9.1f}")
        (folder / "copy.onnx").unlink()
        table(VERBS, folder)


def make(folder: Path, layers: int) -> None:
    """Write the model: y = x W0 W1 …, every other weight transposed in shape."""
    generator = np.random.default_rng(0)
    block = generator.standard_normal(ROWS * COLUMNS, np.float32)
    nodes, tensors = [], []
    with (folder / "model.onnx.data").open("wb") as file:
        for k in range(layers):
            shape = [ROWS, COLUMNS] if k % 2 == 0 else [COLUMNS, ROWS]
            tensor = TensorProto(name=f"W{k}", dims=shape, data_type=TensorProto.FLOAT)
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": Path(file.name).name, "offset": file.tell(), "length": LAYER_BYTES}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            tensors.append(tensor)
            nodes.append(helper.make_node("MatMul", [f"x{k}", f"W{k}"], [f"x{k + 1}"], name=f"layer{k}"))
            file.write((block * np.float32(0.01 * (k + 1))).tobytes())
    width = ROWS if layers % 2 == 0 else COLUMNS
    graph = helper.make_graph(
        nodes,
        "big",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["N", ROWS])],
        [helper.make_tensor_value_info(f"x{layers}", TensorProto.FLOAT, ["N", width])],
        tensors,
    )
    opsets = [helper.make_opsetid("", 18)]
    (folder / "model.onnx").write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )


def make_inline(folder: Path, layers: int) -> None:
    """Write a smaller model with its weights inside the file, which protobuf limits to 2 GB."""
    (folder / "inline").mkdir()
    make(folder / "inline", layers)
    onnx.save(onnx.load(folder / "inline" / "model.onnx"), folder / "inline.onnx")
    shutil.rmtree(folder / "inline")


if __name__ == "__main__":
    main()
