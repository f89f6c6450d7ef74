"""Does an engine draw the noise that a model asks for? Tried with a few numbers, before wrong noise goes unnoticed."""

import itertools
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx import TensorProto, helper

from nmtool import provenance
from nmtool.backends.engine import Engine
from nmtool.backends.runner import Array
from nmtool.errors import ModelError
from nmtool.noise.reference import Source, gaussian_noise
from nmtool.ops import DOMAIN, EXACT_OPSET, VERSION
from nmtool.ops.primitives import primitive_functions

# Numbers that 32 bits with a sign do not hold.
_SEED, _STREAMS, _TRIALS = -0x123_4567_89AB_CDEF, (0x89_ABCD_EF01, 0x80_0000_0002), (0xF000_0001, 0xF000_0002)
_SIZE = 1 << 14
_TOLERANCE = 1e-4  # of normals: logarithms and cosines differ in their last digits
_STANDARD_ERRORS = 6

_known: dict[tuple[str, int], bool] = {}  # by name of the engine, and opset


def require_specified_noise(model: ir.Model, engine: Engine) -> None:
    """Refuse a noisy model on an engine that would compute other noise; a model without noise passes.

    Raises:
        ModelError: the noise would have other values than specified or, where only its distribution is specified (below
            opset 18), another distribution.
    """
    if provenance.read(model) is None and not any(domain == DOMAIN for domain, _, _ in model.functions):
        return
    opset = model.graph.opset_imports.get("", EXACT_OPSET)
    if (engine.name, opset) not in _known:
        _known[engine.name, opset] = engine.noise and _draws_noise(engine, opset)
    if not _known[engine.name, opset]:
        raise ModelError(
            f"{engine.name} computes other noise than the specified one: its integers or random numbers differ",
            hint="run `nmtool bake` first: a baked model has its noise in its weights",
        )


def _draws_noise(engine: Engine, opset: int) -> bool:
    x = np.zeros(_SIZE, np.float32)
    feeds = {"x": x, "scale": np.array(1, np.float32)}
    try:
        compute = engine.build(_probe(opset))
        runs = [compute(["y0", "y1"], feeds | {"trial": np.array(trial, np.int64)}) for trial in _TRIALS]
    except Exception:  # an engine that cannot run the probe cannot run the noise either
        return False
    draws = np.concatenate([np.stack(run) for run in runs])
    if opset < EXACT_OPSET:
        return _independent_normals(draws.astype(np.float64))
    sources = [Source(_SEED, stream, trial) for trial in _TRIALS for stream in _STREAMS]
    expected = [gaussian_noise(x, np.float32(1), source) for source in sources]
    return np.allclose(draws, expected, rtol=0, atol=_TOLERANCE)


def _independent_normals(draws: Array) -> bool:
    """Whether rows may be independent standard normals: the first three moments, and products of two rows."""
    statistics = [draws, (draws**2 - 1) / np.sqrt(2), draws**3 / np.sqrt(15)]  # each of mean 0 and variance 1
    statistics += [a * b for a, b in itertools.combinations(draws, 2)]
    worst = max(float(np.abs(each.mean(axis=-1)).max()) for each in statistics)
    return bool(worst * np.sqrt(_SIZE) < _STANDARD_ERRORS)


def _probe(opset: int) -> ir.Model:
    """Noise of standard deviation 1 on zeros, from two streams."""
    given: dict[str, Any] = {"domain": DOMAIN, "seed": _SEED, "draw": 0, "dtype": TensorProto.FLOAT}
    inputs = ["x", "std", "trial", "scale"]
    nodes = [
        helper.make_node("GaussianNoise", inputs, [f"y{index}"], stream=stream, **given)
        for index, stream in enumerate(_STREAMS)
    ]
    x, trial, scale, *outputs = (
        helper.make_tensor_value_info(name, dtype, shape)
        for name, dtype, shape in (
            ("x", TensorProto.FLOAT, [_SIZE]),
            ("trial", TensorProto.INT64, []),
            ("scale", TensorProto.FLOAT, []),
            ("y0", TensorProto.FLOAT, [_SIZE]),
            ("y1", TensorProto.FLOAT, [_SIZE]),
        )
    )
    std = helper.make_tensor("std", TensorProto.FLOAT, [], [1.0])
    graph = helper.make_graph(nodes, "probe", [x, trial, scale], outputs, [std])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, VERSION)]
    model = ir.from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=8))
    for function in primitive_functions("GaussianNoise", opset):
        model.functions[function.identifier()] = function
    return model
