"""The C++ host program: same output as Python, bit for bit. Needs the official headers of ONNX Runtime."""

import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
from building import ORT_INCLUDE, cmake, needs_cmake, needs_official_header
from onnx import TensorProto, helper, save

from nmtool.library import library_path

HOST = Path(__file__).parents[2] / "examples" / "cpp_host"

pytestmark = [needs_official_header, needs_cmake]


def noisy_model(path):
    """y = x + noise, with the two inputs that inject adds."""
    node = helper.make_node(
        "GaussianNoise", ["x", "std", "noise_trial", "noise_scale"], ["y"], domain="nmtool", seed=1, stream=2
    )
    defaults = [
        helper.make_tensor("std", TensorProto.FLOAT, [1], [0.5]),
        helper.make_tensor("noise_trial", TensorProto.INT64, [], [0]),
        helper.make_tensor("noise_scale", TensorProto.FLOAT, [], [1.0]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8]),
        helper.make_tensor_value_info("noise_trial", TensorProto.INT64, []),
        helper.make_tensor_value_info("noise_scale", TensorProto.FLOAT, []),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 8])]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nmtool", 1)]
    graph = helper.make_graph([node], "noisy", inputs, outputs, defaults)
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def test_same_output_as_python(tmp_path):
    capi = Path(onnxruntime.__file__).parent / "capi"
    library = tmp_path / "libonnxruntime.so.1"  # the name that the loader looks for
    library.symlink_to(*capi.glob("libonnxruntime.so.*"))
    build = tmp_path / "build"
    cmake("-S", HOST, "-B", build, f"-DORT_INCLUDE={ORT_INCLUDE}", f"-DORT_LIB={library}")
    cmake("--build", build)

    noisy_model(tmp_path / "noisy.onnx")
    result = run(build / "noisy_host", tmp_path / "noisy.onnx", library_path(), 2)
    assert result.returncode == 0, result.stderr

    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(library_path()))
    session = onnxruntime.InferenceSession(tmp_path / "noisy.onnx", options, providers=["CPUExecutionProvider"])
    for trial, line in enumerate(result.stdout.splitlines()):
        expected = session.run(None, {"x": np.ones((1, 8), np.float32), "noise_trial": np.array(trial)})[0]
        np.testing.assert_array_equal(np.float32(line.split(":")[1].split()), expected[0])
