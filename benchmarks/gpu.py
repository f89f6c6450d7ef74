"""The GPU kernels on a GPU: are they right, and how fast? Says so and stops where there is no GPU.

    python benchmarks/gpu.py [--words 1e9] [--repeats 20] [--json results.json]

Right: words, uniforms and normals equal those of the CPU's kernels bit for bit; and the normals are compared with
float64 ones that torch computes on the GPU from its own Philox, in units in the last place.

Fast: medians over repeats that alternate between the rows, timed with CUDA events. "session" rows run the node in
ONNX Runtime with x and y on the GPU; they need onnxruntime-gpu.
"""

import argparse
import ctypes
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from machine import machine
from onnx import TensorProto, helper

from nmtool.interpreter import philox
from nmtool.interpreter.philox import Source
from nmtool.library import library_path

SIZES = {"1.0 M": 1 << 20, "25.5 M (ResNet-50)": 25_502_912, "268 M": 1 << 28}
SOURCE = Source(seed=0x0123456789ABCDEF, stream=0x00FEDCBA98765432, trial=42, draw=7)
TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}


class Library:
    """Draws on the CPU and on the GPU, by the C interface alone."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(str(library_path()))
        for name in ("architectures", "error", "words", "uniforms", "normals"):
            getattr(self._c, f"nmtool_cuda_{name}").restype = ctypes.c_char_p

    @property
    def error(self) -> str | None:
        error = self._c.nmtool_cuda_error()
        return None if error is None else error.decode()

    @property
    def architectures(self) -> str:
        named: bytes = self._c.nmtool_cuda_architectures()
        return named.decode()

    def on_cpu(self, kind: str, out: np.ndarray, start: int) -> None:
        fields = [ctypes.c_int64(value) for value in (SOURCE.seed, SOURCE.stream, int(SOURCE.trial))]
        elements = (ctypes.c_uint64(start), ctypes.c_uint64(out.size))
        level = b"portable"
        assert not getattr(self._c, f"nmtool_{kind}")(
            out.ctypes, *elements, *fields, ctypes.c_int32(SOURCE.draw), level
        )

    def on_gpu(self, kind: str, out: torch.Tensor, start: int, trial: torch.Tensor) -> None:
        error = getattr(self._c, f"nmtool_cuda_{kind}")(
            ctypes.c_void_p(out.data_ptr()),
            ctypes.c_uint64(start),
            ctypes.c_uint64(out.numel()),
            ctypes.c_int64(SOURCE.seed),
            ctypes.c_int64(SOURCE.stream),
            ctypes.c_void_p(trial.data_ptr()),
            ctypes.c_int32(SOURCE.draw),
            ctypes.c_void_p(torch.cuda.current_stream().cuda_stream),
        )
        if error is not None:
            raise RuntimeError(error.decode())


def check_equality(library: Library, trial: torch.Tensor) -> int:
    """Compare bits on ranges of all alignments and on 2**26 elements; returns how many numbers were compared."""
    compared = 0
    ranges = [(0, 1), (0, 64), (5, 12), (63, 3), (1000, 2001), (2**34 - 100, 100), (2**33, 1 << 20), (0, 1 << 26)]
    for kind in ("words", "uniforms", "normals"):
        for start, size in ranges:
            expected = np.empty(size, np.uint32)
            library.on_cpu(kind, expected, start)
            guarded = torch.full((size + 2,), -1, dtype=torch.int32, device="cuda")
            library.on_gpu(kind, guarded[1:-1], start, trial)
            drawn = guarded.cpu().numpy().view(np.uint32)
            assert (drawn[[0, -1]] == 2**32 - 1).all(), f"{kind}: a write outside of {start}, {size}"
            np.testing.assert_array_equal(drawn[1:-1], expected, f"{kind} from {start}, {size} elements")
            compared += size
    return compared


def worst_ulp(library: Library, trial: torch.Tensor, words: int) -> float:
    """Largest distance of a normal from the real number, which float64 stands for; 2**23 elements at a time."""
    size, worst = 1 << 23, 0.0
    z = torch.empty(size, device="cuda")
    for start in range(0, words, size):
        library.on_gpu("normals", z, start, trial)
        drawn = philox._words(SOURCE, start // 64, (start + size) // 64, torch.device("cuda"))
        u = (drawn[:, 0::2] | 1).float().double() * 2.0**-32
        quarters = (drawn[:, 1::2] - ((drawn[:, 1::2] & 0x80000000) << 1)).float().double() * 2.0**-30
        quadrant = torch.round(quarters)  # split off first, so that zeros of cosine and sine are exact
        angle, turn = (quarters - quadrant) * (torch.pi / 2), quadrant.long() % 4
        c, s = torch.cos(angle), torch.sin(angle)
        radius = torch.sqrt(-2.0 * torch.log(u))
        cosine = torch.where(turn % 2 == 0, c, s) * torch.where((turn == 1) | (turn == 2), -1.0, 1.0)
        sine = torch.where(turn % 2 == 0, s, c) * torch.where(turn >= 2, -1.0, 1.0)
        truth = torch.stack((radius * cosine, radius * sine), dim=2).reshape(-1)
        single = truth.float().abs()
        ulp = (torch.nextafter(single, torch.full_like(single, torch.inf)) - single).double()
        worst = max(worst, float(((z.double() - truth).abs() / ulp).max()))
    return worst


def session_row(node: str, size: int, dtype: str) -> Callable[[], object]:
    """A node on an array of shape [size / 64, 64], with one parameter per column."""
    parameters = {"GaussianNoise": ["p"], "LognormalNoise": ["p", "p"], "StuckFaults": ["q", "q"]}[node]
    constants = [
        helper.make_tensor("p", TensorProto.FLOAT, [64], [0.1] * 64),
        helper.make_tensor("q", TensorProto.FLOAT, [2], [0.01, 0.02]),
        helper.make_tensor("trial", TensorProto.INT64, [], [3]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
    ]
    shape = [size // 64, 64]
    ports = [helper.make_tensor_value_info(name, TYPES[dtype], shape) for name in "xy"]
    made = helper.make_node(node, ["x", *parameters, "trial", "one"], ["y"], domain="nmtool", seed=1, stream=2)
    used = [constant for constant in constants if constant.name in made.input]
    graph = helper.make_graph([made], "benchmark", ports[:1], ports[1:], used)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nmtool", 1)]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.register_custom_ops_library(str(library_path()))
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    cuda = ("CUDAExecutionProvider", {"user_compute_stream": str(torch.cuda.current_stream().cuda_stream)})
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[cuda])
    x, y = (torch.zeros(shape, dtype=getattr(torch, dtype), device="cuda") for _ in "xy")
    binding = session.io_binding()
    binding.bind_input("x", "cuda", 0, TYPES[dtype], shape, x.data_ptr())
    binding.bind_output("y", "cuda", 0, TYPES[dtype], shape, y.data_ptr())
    keep = (x, y)
    run_options = onnxruntime.RunOptions()
    run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    return lambda: (keep, session.run_with_iobinding(binding, run_options))


def rows(library: Library, trial: torch.Tensor, size: int) -> dict[str, Callable[[], object]]:
    out = torch.empty(size, device="cuda")
    compiled = torch.compile(lambda trial: philox._elements(at(trial), size, torch.device("cuda"), philox._box_muller))
    made: dict[str, Callable[[], object]] = {
        "normals (C interface)": lambda: library.on_gpu("normals", out, 0, trial),
        "uniforms (C interface)": lambda: library.on_gpu("uniforms", out, 0, trial),
        "fill with zeros": lambda: out.zero_(),
        "torch.randn": lambda: out.normal_(),
        "normals in torch by the library": lambda: philox.normals(at(trial), size, "cuda"),
    }
    if size < 1 << 28:  # tens of temporaries of 8 bytes per word
        made["normals in torch, compiled"] = lambda: compiled(trial)
        made["normals in torch, eager"] = lambda: philox._elements(
            at(trial), size, torch.device("cuda"), philox._box_muller
        )
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        for node in ("GaussianNoise", "LognormalNoise", "StuckFaults"):
            made[f"{node} session, float32"] = session_row(node, size, "float32")
        made["GaussianNoise session, float16"] = session_row("GaussianNoise", size, "float16")
        made["GaussianNoise session, bfloat16"] = session_row("GaussianNoise", size, "bfloat16")
    return made


def at(trial: torch.Tensor) -> Source:
    return Source(SOURCE.seed, SOURCE.stream, trial, SOURCE.draw)


def measure(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each function on the GPU."""
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for repeat in range(3 + repeats):
        for name, function in functions.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            function()
            end.record()
            torch.cuda.synchronize()
            if repeat >= 3:
                samples[name].append(begin.elapsed_time(end) / 1e3)
    return {name: statistics.median(values) for name, values in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=float, default=1e9)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    library = Library()
    if library.error is not None or not torch.cuda.is_available():
        print(f"no GPU to measure: {library.error or 'torch has no CUDA'}")
        return
    print(f"{machine('torch')}; {torch.cuda.get_device_name()}")
    torch.cuda.set_stream(torch.cuda.Stream())
    trial = torch.tensor(SOURCE.trial, device="cuda")
    torch.cuda.synchronize()
    print(f"{torch.cuda.get_device_name()}, kernels {library.architectures}, torch {torch.__version__}")
    print(f"equal to the CPU bit for bit: {check_equality(library, trial):,} numbers")
    worst = worst_ulp(library, trial, int(arguments.words))
    print(f"largest distance from the real number over {arguments.words:.3g} words: {worst:.2f} ulp")
    results: dict[str, dict[str, float]] = {}
    for label, size in SIZES.items():
        results[label] = measure(rows(library, trial, size), arguments.repeats)
        print(f"{label}")
        for name, seconds in results[label].items():
            print(f"  {name:36}{seconds * 1e3:10.3f} ms{size / seconds / 1e9:10.1f} G/s", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"worst_ulp": worst, "seconds": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
