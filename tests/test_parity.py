"""Every noise model on every composite, in every type and on every implementation, equals the numpy reference.

The oracle perturbs the weights with nmtool.noise.reference and runs the stock model. Tolerances, relative to the
largest output: 1e-5 for float32 and float64 (the noise is float32), 2e-3 for float16.
"""

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NotInRuntime
from running import has_library, noise, run_ort, run_reference

from build import model, weights
from nmtool.noise import NOISE_MODELS
from nmtool.noise.base import NoiseModel
from nmtool.noise.reference import Source, gaussian_noise, lognormal_noise, stuck_faults
from nmtool.noise.stream import stream_of
from nmtool.ops.analog import ANALOG_OPS
from nmtool.probe import random_inputs
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import inject

SEED, TRIAL, SCALE, ETA = 21, 6, 0.75, 0.2
MODELS = {
    "MatMul": ("g ({t}[2,5] x) => ({t}[2,3] y) {{ y = MatMul(x, w) }}", (5, 3)),
    "Gemm": ("g ({t}[2,5] x) => ({t}[2,3] y) {{ y = Gemm<transB=1, alpha=0.5>(x, w) }}", (3, 5)),
    "Conv": ("g ({t}[1,4,5,5] x) => ({t}[1,6,5,3] y) {{ y = Conv<group=2, pads=[1,0,1,0]>(x, w) }}", (6, 2, 3, 3)),
    "ConvTranspose": (
        "g ({t}[1,3,4,4] x) => ({t}[1,2,9,9] y) {{ y = ConvTranspose<strides=[2,2]>(x, w) }}",
        (3, 2, 3, 3),
    ),
}
DTYPES = {"float": np.float32, "double": np.float64, "float16": np.float16}
TOLERANCE = {"float": 1e-5, "double": 1e-5, "float16": 2e-3}
NOISE: dict[str, Callable[[], NoiseModel]] = {
    "gaussian": lambda: NOISE_MODELS["gaussian"](eta=ETA),
    "lognormal": lambda: NOISE_MODELS["lognormal"](eta=ETA),
    "stuck": lambda: NOISE_MODELS["stuck"](eta=ETA, high=0.5),
}
BACKENDS = {
    "onnxruntime": run_ort,
    "reference": run_reference,
    "library": lambda proto, feeds: run_ort(proto, feeds, library=True),
}


def perturbed(noise_model: NoiseModel, w: NDArray) -> NDArray:
    """The noisy weights, from the definition of the noise model and the reference alone."""
    source, largest = Source(SEED, stream_of("w"), TRIAL), np.abs(w).max()
    match noise_model.name:
        case "gaussian":
            return gaussian_noise(w, np.float32(ETA * (float(w.max()) - float(w.min()))), source, SCALE)
        case "lognormal":
            return lognormal_noise(w, 0.0, ETA, source, SCALE)
        case "stuck":
            return stuck_faults(w, [ETA / 2, ETA / 4, ETA / 4], [0, largest, -largest], source, SCALE)
        case _:
            raise AssertionError(f"no oracle for noise model {noise_model.name!r}: write one here")


def test_every_noise_model_and_composite_has_an_oracle() -> None:
    assert set(NOISE) == set(NOISE_MODELS)
    assert set(MODELS) == {op_type for (_, op_type), op in ANALOG_OPS.items() if op.inputs}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op_type", MODELS)
@pytest.mark.parametrize("name", NOISE)
def test_parity(name: str, op_type: str, dtype: str, backend: str) -> None:
    if backend == "library" and not has_library():
        pytest.skip("the operator library is not built")
    text, shape = MODELS[op_type]
    w = weights(*shape, dtype=DTYPES[dtype])
    proto = model(text.format(t=dtype), w=w)
    feeds = random_inputs(ir.from_proto(proto))
    stock = onnx.ModelProto()
    stock.CopyFrom(proto)
    stock.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(perturbed(NOISE[name](), w), "w"))
    run = run_ort if backend == "library" else BACKENDS[backend]
    try:
        (expected,) = run(stock, feeds)
    except NotInRuntime:
        pytest.skip(f"onnxruntime has no {op_type} of type {dtype}")
    noisy = inject(proto, noise=NOISE[name](), seed=SEED)
    (actual,) = BACKENDS[backend](noisy.model, feeds | noise(TRIAL, SCALE))
    assert actual.dtype == expected.dtype
    size = np.abs(expected.astype(np.float64)).max()
    np.testing.assert_allclose(
        actual.astype(np.float64) / size, expected.astype(np.float64) / size, atol=TOLERANCE[dtype]
    )
    baked = ir.to_proto(bake(noisy.model, trial=TRIAL, scale=SCALE))
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(baked.graph.initializer[0]), perturbed(NOISE[name](), w))


@pytest.mark.parametrize("name", NOISE)
def test_bfloat16(name: str) -> None:
    """ONNX Runtime's CPU provider has no bfloat16 MatMul: the reference evaluator and bake."""
    w = onnx.helper.make_tensor("w", onnx.TensorProto.BFLOAT16, [5, 3], weights(5, 3).reshape(-1).tolist())
    proto = model(MODELS["MatMul"][0].format(t="bfloat16"), w=w)
    array = ir.from_proto(proto).graph.initializers["w"].const_value.numpy()
    x = np.eye(5, dtype=np.float32)[:2].astype(array.dtype)
    noisy = inject(proto, noise=NOISE[name](), seed=SEED).model
    (actual,) = run_reference(noisy, {"x": x} | noise(TRIAL, SCALE))
    expected = perturbed(NOISE[name](), array).astype(np.float32)
    np.testing.assert_allclose(actual.astype(np.float32), expected[:2], atol=0.02)
    baked = bake(noisy, trial=TRIAL, scale=SCALE).graph.initializers["w"].const_value
    assert baked.dtype == ir.DataType.BFLOAT16
    np.testing.assert_array_equal(baked.numpy().astype(np.float32), expected)
