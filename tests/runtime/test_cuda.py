"""The GPU kernels without a GPU: their code compiled for the host, and what the library does where no GPU is.

On a machine with a GPU, benchmarks/gpu.py compares the real kernels with the same numbers.
"""

import ctypes
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from building import cmake, needs_cmake
from numpy.typing import NDArray

from nmtool.library import library_path
from nmtool.noise.reference import Source

ROOT = Path(__file__).parents[2]
EXTREMES = Source(seed=-1, stream=2**56 - 1, trial=2**32 - 1, draw=255)
RANGES = [(0, 1), (0, 64), (5, 17), (15, 49), (63, 66), (1000, 3001), (0, 100_000), (2**34 - 100, 2**34)]
DTYPES = {"words": np.uint32, "uniforms": np.float32, "normals": np.float32}


class Gpu:
    """The nmtool_cuda_* functions of a library, on memory that they can reach."""

    def __init__(self, path: Path) -> None:
        self._c = ctypes.CDLL(str(path))
        for name in ("architectures", "error", *DTYPES):
            getattr(self._c, f"nmtool_cuda_{name}").restype = ctypes.c_char_p

    @property
    def architectures(self) -> str:
        return self._c.nmtool_cuda_architectures().decode()

    @property
    def error(self) -> str | None:
        error = self._c.nmtool_cuda_error()
        return None if error is None else error.decode()

    def draw(self, kind: str, source: Source, start: int, stop: int) -> NDArray:
        out, trial = np.empty(stop - start, DTYPES[kind]), np.array(source.trial)
        elements = (ctypes.c_uint64(start), ctypes.c_uint64(stop - start))
        fields = (ctypes.c_int64(source.seed), ctypes.c_int64(source.stream), trial.ctypes, ctypes.c_int32(source.draw))
        error = getattr(self._c, f"nmtool_cuda_{kind}")(out.ctypes, *elements, *fields, None)
        if error is not None:
            raise RuntimeError(error.decode())
        return out


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    """The library with the GPU kernels compiled for the host, in place of those of the CPU."""
    folder = tmp_path_factory.mktemp("emulated")
    cmake("-S", ROOT / "runtime", "-B", folder, "-DNMTOOL_CUDA=EMULATE", "-DNMTOOL_WERROR=ON")
    cmake("--build", folder, "--parallel")
    return folder / library_path().name


@needs_cmake
def test_known_answers(emulated):
    gpu = Gpu(emulated)
    assert gpu.architectures == "emulated"
    assert gpu.error is None
    lines = (ROOT / "tests" / "data" / "normal_kat.txt").read_text().splitlines()
    answers = [line.split() for line in lines if not line.startswith("#")]
    for *integers, word, uniform, normal in answers:
        seed, stream, trial, draw, e = map(int, integers)
        source = Source(seed, stream, trial, draw)
        assert gpu.draw("words", source, e, e + 1) == int(word, 16)
        assert gpu.draw("uniforms", source, e, e + 1) == float(uniform)
        ulp = np.spacing(np.float32(abs(float(normal))))
        assert abs(np.float64(gpu.draw("normals", source, e, e + 1)[0]) - float(normal)) <= 4 * ulp
    assert len(answers) == 50


@needs_cmake
@pytest.mark.parametrize("kind", DTYPES)
def test_equal_to_the_kernels_of_the_cpu_bit_for_bit(emulated, library, kind):
    gpu = Gpu(emulated)
    for source in (Source(seed=1, stream=2, trial=3), EXTREMES):
        for start, stop in RANGES:
            expected = getattr(library, kind)(source, start, stop, "portable")
            np.testing.assert_array_equal(
                gpu.draw(kind, source, start, stop).view(np.uint32), expected.view(np.uint32), f"{start} to {stop}"
            )


@needs_cmake
def test_operators_pass_the_tests_of_the_cpu(emulated):
    # Every shape, element type, broadcast and error of these files, computed by the code of the GPU kernels.
    files = [Path(__file__).with_name(name) for name in ("test_ops.py", "test_errors.py")]
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-p", "no:xdist", *files]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["NMTOOL_OPS_LIBRARY"] = str(emulated)
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@needs_cmake
@pytest.mark.parametrize("kind", ["uniforms", "normals"])
def test_torch_draws_through_it(emulated, library, monkeypatch, kind):
    torch = pytest.importorskip("torch")
    from nmtool.interpreter import philox

    monkeypatch.setattr(philox, "_LIBRARY", (ctypes.CDLL(str(emulated)), b"portable"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=0))
    trial = torch.tensor(EXTREMES.trial)
    drawn = philox._drawn_on_gpu(kind, trial, EXTREMES.seed, EXTREMES.stream, EXTREMES.draw, 1000)
    np.testing.assert_array_equal(drawn.numpy(), getattr(library, kind)(EXTREMES, 0, 1000, "portable"))


def test_without_a_usable_gpu_drawing_on_one_is_an_error():
    gpu = Gpu(library_path())
    if gpu.error is None:
        pytest.skip("this machine has a GPU: benchmarks/gpu.py tests it")
    expected = "CUDA" if gpu.architectures else "nmtool was built without CUDA"
    with pytest.raises(RuntimeError, match=expected):
        gpu.draw("normals", EXTREMES, 0, 64)


@needs_cmake
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, the CUDA compiler")
def test_arithmetic_on_a_gpu_is_that_of_a_cpu(tmp_path):
    # With the project's own flags: + - * sqrt, each rounded to nearest, nothing fused, approximate or flushed to zero.
    options = ("-DNMTOOL_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=75-virtual", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    cmake("-S", ROOT / "runtime", "-B", tmp_path, *options)
    commands = json.loads((tmp_path / "compile_commands.json").read_text())
    (command,) = (each["command"] for each in commands if each["file"].endswith(".cu"))
    compiler, *flags = shlex.split(command)
    ptx = tmp_path / "kernels.ptx"
    flags[flags.index("-o") + 1], flags[flags.index("-c")] = str(ptx), "--ptx"
    flags = [flag for flag in flags if not flag.startswith("--generate-code")] + ["--gpu-architecture=compute_75"]
    subprocess.run([compiler, *flags], cwd=tmp_path, check=True, capture_output=True)
    pattern = r"^\s+((?:add|sub|mul|mad|fma|div|rcp|sqrt|rsqrt|ex2|lg2|sin|cos)\S*\.f(?:16|32|64))\s"
    operations = set(re.findall(pattern, ptx.read_text(), re.MULTILINE))
    rounded = {f"{name}.rn.{kind}" for name in ("add", "sub", "mul", "sqrt") for kind in ("f32", "f64")}
    assert {"add.rn.f32", "sub.rn.f32", "mul.rn.f32", "sqrt.rn.f32"} <= operations <= rounded
