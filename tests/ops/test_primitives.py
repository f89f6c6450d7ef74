"""The primitives' bodies: each primitive x std form x dtype x opset, in two runtimes, equals numpy.

With the library the kernels run instead, at every SIMD level to the same bits.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from running import has_library, run_ort, run_reference, session

from nmtool.noise.base import PARAMETER_NAMES
from nmtool.noise.reference import Source, gaussian_noise, lognormal_noise, stuck_faults
from nmtool.ops import DOMAIN, EXACT_OPSET
from nmtool.ops.primitives import primitive_functions

SOURCE = Source(seed=-(2**62) + 12345, stream=2**55 + 77, trial=2**32 - 3, draw=9)
SCALE = 0.625
SHAPE = (5, 6, 7, 3)
NEWEST = onnx.defs.onnx_opset_version()
FORMS = {
    "scalar": (),
    "per array": (1,),
    "per output channel": (5, 1, 1, 1),
    "per last axis": (3,),
    "per matrix": (5, 6, 1, 1),
    "per element": SHAPE,
}
DTYPES = {"float32": 3e-7, "float64": 3e-7, "float16": 1e-3}  # relative to the largest element
REFERENCE = {"GaussianNoise": gaussian_noise, "LognormalNoise": lognormal_noise, "StuckFaults": stuck_faults}


def parameters(primitive: str, form: tuple[int, ...]) -> dict[str, NDArray[np.float32]]:
    if primitive == "StuckFaults":
        return {"probabilities": np.array([0.1, 0.2, 0.05], np.float32), "values": np.array([0, 3, -3], np.float32)}
    draw = np.random.default_rng(1).uniform(0.01, 0.2, form)
    return {name: np.asarray(draw, np.float32) for name in PARAMETER_NAMES[primitive]}


def model(primitive: str, values: dict[str, NDArray[np.float32]], dtype: str, opset: int) -> onnx.ModelProto:
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    attributes = {"seed": SOURCE.seed, "stream": SOURCE.stream, "draw": SOURCE.draw, "dtype": element}
    node = helper.make_node(primitive, ["x", *values, "trial", "scale"], ["y"], "the one", domain=DOMAIN, **attributes)
    inputs = [("x", element, SHAPE), ("trial", onnx.TensorProto.INT64, []), ("scale", onnx.TensorProto.FLOAT, [])]
    graph = helper.make_graph(
        [node],
        "primitive",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info("y", element, SHAPE)],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    functions = [ir.serde.serialize_function(f) for f in primitive_functions(primitive, opset, kinds=3)]
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions)


def feeds(dtype: str, scale: float = SCALE) -> dict[str, NDArray]:
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(dtype)
    return {"x": x, "trial": np.array(SOURCE.trial), "scale": np.array(scale, np.float32)}


CASES = [(p, form) for p in REFERENCE for form in (FORMS if p != "StuckFaults" else ["scalar"])]


@pytest.mark.parametrize("opset", [EXACT_OPSET, 21, NEWEST])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("primitive", "form"), CASES)
def test_bodies_give_the_specified_values(primitive, form, dtype, opset):
    values, given = parameters(primitive, FORMS[form]), feeds(dtype)
    expected = REFERENCE[primitive](given["x"], *values.values(), SOURCE, SCALE)
    proto = model(primitive, values, dtype, opset)
    onnx.checker.check_model(proto, full_check=True)
    tolerance = DTYPES[dtype] * float(np.abs(expected).max())
    for outputs in (run_ort(proto, given), run_reference(proto, given)):
        assert outputs[0].dtype == np.dtype(dtype)
        np.testing.assert_allclose(outputs[0].astype(np.float64), expected.astype(np.float64), atol=tolerance, rtol=0)
    assert not np.array_equal(expected, given["x"])


@pytest.mark.parametrize("opset", [7, 9, 12, 13, 17, EXACT_OPSET])
@pytest.mark.parametrize("primitive", REFERENCE)
def test_scale_zero_is_the_identity(primitive, opset):
    proto, given = model(primitive, parameters(primitive, ()), "float32", opset), feeds("float32", scale=0)
    for outputs in (run_ort(proto, given), run_reference(proto, given)):
        np.testing.assert_array_equal(outputs[0], given["x"])


@pytest.mark.parametrize("opset", [7, 9, 12, 13, 17])
def test_below_opset_18_the_distribution_is_the_specified_one(opset):
    """Moments over 630 elements x 40 draws; each bound is 5 standard errors: false alarms 6e-7 a bound."""
    given = feeds("float32", scale=1.0) | {"x": np.zeros(SHAPE, np.float32)}
    opened = session(model("GaussianNoise", {"std": np.array(2, np.float32)}, "float32", opset))
    z = np.stack([opened.run(None, given)[0] for _ in range(40)]).ravel() / 2
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / z.size)
    given["x"] += 1
    opened = session(model("StuckFaults", parameters("StuckFaults", ()), "float32", opset))
    y = np.stack([opened.run(None, given)[0] for _ in range(40)]).ravel()
    for value, probability in ((0, 0.1), (3, 0.2), (-3, 0.05)):
        assert abs((y == value).mean() - probability) < 5 * np.sqrt(probability / y.size)


@pytest.mark.skipif(not has_library(), reason="the operator library is not built")
@pytest.mark.parametrize("primitive", REFERENCE)
def test_with_the_library_its_kernel_runs_and_without_it_the_body(primitive, tmp_path):
    """Asserted on ONNX Runtime's own profile, and on the values."""
    from nmtool.backends import ort

    values, given = parameters(primitive, ()), feeds("float32")
    proto = model(primitive, values, "float32", EXACT_OPSET)
    ran = {}
    for library in (True, False):
        opened = ort.session(proto, library=library, profile=str(tmp_path / f"{library}"))
        output = opened.run(None, given)[0]
        expected = REFERENCE[primitive](given["x"], *values.values(), SOURCE, SCALE)
        np.testing.assert_allclose(output, expected, atol=1e-6)
        events = json.loads(Path(opened.end_profiling()).read_text())
        ran[library] = {event["args"]["op_name"] for event in events if event.get("cat") == "Node"}
    assert ran[True] == {primitive}
    assert primitive not in ran[False]
    assert "BitwiseXor" in ran[False]


_EVERY_KERNEL = """
import sys, numpy as np
sys.path[:0] = sys.argv[2:]
from test_primitives import CASES, DTYPES, FORMS, feeds, model, parameters
from running import run_ort
np.savez(sys.argv[1], *[
    run_ort(model(p, parameters(p, FORMS[form]), dtype, 18), feeds(dtype), library=True)[0]
    for p, form in CASES for dtype in DTYPES
])
"""


@pytest.mark.skipif(not has_library(), reason="the operator library is not built")
def test_every_simd_level_gives_the_same_bits(tmp_path):
    """In processes of their own: the level is chosen when the library is loaded."""
    import running

    here = [str(Path(file).parent) for file in (__file__, running.__file__)]
    results = {}
    for level in ("portable", "avx2", "avx512"):
        file = tmp_path / f"{level}.npz"
        command = [sys.executable, "-c", _EVERY_KERNEL, str(file), *here]
        done = subprocess.run(command, env={**os.environ, "NMTOOL_SIMD": level}, capture_output=True, text=True)
        if "this CPU supports" not in done.stderr:
            assert done.returncode == 0, done.stderr
            results[level] = list(np.load(file).values())
    assert "portable" in results
    for (primitive, form, dtype), *outputs in zip(
        [(p, form, dtype) for p, form in CASES for dtype in DTYPES], *results.values(), strict=True
    ):
        given = feeds(dtype)
        expected = REFERENCE[primitive](given["x"], *parameters(primitive, FORMS[form]).values(), SOURCE, SCALE)
        tolerance = DTYPES[dtype] * float(np.abs(expected).max())
        np.testing.assert_allclose(outputs[0].astype(float), expected.astype(float), atol=tolerance, rtol=0)
        for output in outputs[1:]:
            assert output.tobytes() == outputs[0].tobytes(), (primitive, form, dtype)
