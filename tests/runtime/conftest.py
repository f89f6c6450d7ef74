"""The library through its two faces: the C functions (`library`) and onnxruntime sessions (`run_op`)."""

import ctypes
import os
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from nmtool.library import library_path
from nmtool.noise.reference import Source


class Library:
    """`runtime/nmtool_ops.h` with numpy arrays."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(str(library_path()))
        self._c.nmtool_simd_levels.restype = ctypes.c_char_p
        self._c.nmtool_version.restype = ctypes.c_char_p

    @property
    def levels(self) -> list[str]:
        return self._c.nmtool_simd_levels().decode().split(",")

    @property
    def version(self) -> str:
        return self._c.nmtool_version().decode()

    def philox(self, counter: list[int], key: list[int], level: str) -> list[int]:
        out = np.empty(4, np.uint32)
        self._call("philox", level, np.array(counter, np.uint32).ctypes, np.array(key, np.uint32).ctypes, out.ctypes)
        return out.tolist()

    def box_muller(self, words: NDArray[np.uint32], level: str) -> NDArray[np.float32]:
        """The normals of words [groups, 64]."""
        out = np.empty(words.shape, np.float32)
        self._call("box_muller", level, words.ctypes, ctypes.c_size_t(len(words)), out.ctypes)
        return out

    def words(self, source: Source, start: int, stop: int, level: str) -> NDArray[np.uint32]:
        return self._draw("words", np.uint32, source, start, stop, level)

    def uniforms(self, source: Source, start: int, stop: int, level: str) -> NDArray[np.float32]:
        return self._draw("uniforms", np.float32, source, start, stop, level)

    def normals(self, source: Source, start: int, stop: int, level: str) -> NDArray[np.float32]:
        return self._draw("normals", np.float32, source, start, stop, level)

    def _draw(self, name: str, dtype: type, source: Source, start: int, stop: int, level: str) -> NDArray:
        out = np.empty(stop - start, dtype)
        elements = (ctypes.c_uint64(start), ctypes.c_uint64(stop - start))
        fields = (ctypes.c_int64(field) for field in (source.seed, source.stream, source.trial))
        self._call(name, level, out.ctypes, *elements, *fields, ctypes.c_int32(source.draw))
        return out

    def _call(self, name: str, level: str, *args: object) -> None:
        if getattr(self._c, f"nmtool_{name}")(*args, level.encode()):
            raise ValueError(f"unsupported level {level}")


@pytest.fixture(scope="session")
def library() -> Library:
    return Library()


@pytest.fixture(params=["portable", "avx2", "avx512"])
def level(request: pytest.FixtureRequest, library: Library) -> str:
    if request.param not in library.levels:
        pytest.skip(f"this CPU has no {request.param}")
    return request.param


PROVIDER = os.environ.get("NMTOOL_TEST_PROVIDER", "CPUExecutionProvider")  # or CUDAExecutionProvider, with a GPU


def open_session(model: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if PROVIDER != "CPUExecutionProvider":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.register_custom_ops_library(str(library_path()))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[PROVIDER])


@pytest.fixture(scope="session")
def session_of() -> Callable[..., onnxruntime.InferenceSession]:
    return open_session


RunOp = Callable[..., NDArray]


@pytest.fixture(scope="session")
def run_op() -> RunOp:
    """Run one operator of the library; float inputs other than x are float32. bfloat16 is cast inside of the model."""

    def run(
        op: str,
        x: NDArray,
        parameters: dict[str, NDArray],
        source: Source,
        scale: float | NDArray = 1.0,
        trial: NDArray | None = None,
        threads: int = 1,
        **attributes: int,
    ) -> NDArray:
        trial = np.array(source.trial, np.int64) if trial is None else trial
        feeds = {"x": x, **parameters, "trial": trial, "scale": np.float32(scale)}
        feeds = {name: np.asarray(value) for name, value in feeds.items()}
        attributes = {"seed": source.seed, "stream": source.stream, "draw": source.draw, **attributes}
        nodes = [helper.make_node(op, list(feeds), ["y"], domain="nmtool", **attributes)]
        if x.dtype.name == "bfloat16":
            feeds["x"] = x.astype(np.float32)
            nodes[0].input[0], nodes[0].output[0] = "x_bf16", "y_bf16"
            nodes.insert(0, helper.make_node("Cast", ["x"], ["x_bf16"], to=TensorProto.BFLOAT16))
            nodes.append(helper.make_node("Cast", ["y_bf16"], ["y"], to=TensorProto.FLOAT))
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in feeds.items()
        ]
        output = helper.make_tensor_value_info("y", inputs[0].type.tensor_type.elem_type, x.shape)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nmtool", 1)]
        graph = helper.make_graph(nodes, "one_op", inputs, [output])
        y = open_session(helper.make_model(graph, opset_imports=opsets, ir_version=8), threads).run(None, feeds)[0]
        return y.astype(x.dtype)

    return run
