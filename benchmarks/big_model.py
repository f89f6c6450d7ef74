"""Time and memory of inject, bake and strip on a model of 2.5 GB with external data, against copying its files.

    python benchmarks/big_model.py [--gigabytes 2.5] [--folder /tmp]

The inline model, of 0.8 GB, holds its weights itself. Each verb runs in a process of its own. "Memory" is the peak of
what the process itself holds (anonymous memory) and, in the second column, of all its resident memory, pages of mapped
files included; both above an idle process with the same imports. Linux only.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import onnx
from machine import machine
from onnx import TensorProto, helper

ROWS, COLUMNS = 4096, 16384
LAYER_BYTES = ROWS * COLUMNS * 4
_STATUS = Path("/proc/self/status")

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
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child)
        return
    print(machine("onnx", "numpy"))
    layers = max(1, round(options.gigabytes * 1e9 / LAYER_BYTES))
    with tempfile.TemporaryDirectory(prefix="nmtool-big-", dir=options.folder) as name:
        folder = Path(name)
        (folder / "other").mkdir()
        make(folder, layers)
        size = (folder / "model.onnx.data").stat().st_size
        print(f"{layers} MatMuls of {ROWS} x {COLUMNS}, float32: {size / 1e9:.2f} GB in model.onnx.data\n")
        print(f"{'':26}{'seconds':>9}{'memory, MB':>12}{'with mapped files, MB':>23}")
        start = time.perf_counter()
        shutil.copyfile(folder / "model.onnx.data", folder / "copy.data")
        print(f"{'copy of the data file':26}{time.perf_counter() - start:9.1f}")
        (folder / "copy.data").unlink()
        make_inline(folder, min(layers, 3))
        start = time.perf_counter()
        shutil.copyfile(folder / "inline.onnx", folder / "copy.onnx")
        print(f"{'copy of the inline model':26}{time.perf_counter() - start:9.1f}")
        (folder / "copy.onnx").unlink()
        for verb, code in VERBS.items():
            command = [sys.executable, __file__, "--child", code]
            result = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
            seconds, private, resident = map(float, result.stdout.split())
            print(f"{verb:26}{seconds:9.1f}{private:12.0f}{resident:23.0f}", flush=True)


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
            for key, value in {"location": file.name, "offset": file.tell(), "length": LAYER_BYTES}.items():
                tensor.external_data.add(key=key, value=Path(value).name if key == "location" else str(value))
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


def child(code: str) -> None:
    """Run the code; print seconds, and the peaks of anonymous and of all resident memory above the start, in MB."""
    for line in code.splitlines():
        if line.startswith("from "):
            exec(line)
    before, stop, peak = memory(), threading.Event(), list(memory())

    def watch() -> None:
        while not stop.wait(0.01):
            for k, value in enumerate(memory()):
                peak[k] = max(peak[k], value)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    exec(code, {})
    seconds = time.perf_counter() - start
    stop.set()
    watcher.join()
    print(seconds, *(high - low for high, low in zip(peak, before, strict=True)))


def memory() -> tuple[float, float]:
    """Anonymous and all resident memory of this process, in MB."""
    fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    anonymous, resident = (int(fields[key].split()[0]) * 1024 / 1e6 for key in ("RssAnon", "VmRSS"))
    return anonymous, resident


if __name__ == "__main__":
    main()
