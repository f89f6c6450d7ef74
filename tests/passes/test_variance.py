"""The variance of the outputs of every linear model of the zoo is the closed form: sigma^2 times the squared inputs.

As in test_backend_nodes: chi-square on each output, false-alarm rate 1e-6 over all of them, fixed seed.
"""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from running import noise, run_ort, session
from scipy import stats
from zoo import ZOO

from nmtool.probe import random_inputs
from nmtool.verbs.inject import inject

TRIALS, FALSE_ALARM, OUTPUTS = 40, 1e-6, 20_000
LINEAR = [
    name
    for name in ZOO
    if name.startswith(("matmul_", "gemm_", "conv_"))
    or name in ("einsum", "identity", "transpose", "function_argument")
]


@pytest.mark.parametrize("name", LINEAR)
def test_variance(name: str) -> None:
    source = ZOO[name].proto
    feeds = random_inputs(ir.from_proto(source), seed=3)
    injection = inject(source, eta=0.1, seed=12)
    runner = session(injection.model)
    clean = runner.run(None, feeds | noise(0, 0.0))[0].astype(np.float64)
    draws = np.array([runner.run(None, feeds | noise(trial))[0] for trial in range(TRIALS)], np.float64)
    (sigma,) = (node.sigma for node in injection.report.nodes)
    squared = onnx.ModelProto()
    squared.CopyFrom(source)
    for tensor in squared.graph.initializer:  # the weights 1, the bias 0
        array = onnx.numpy_helper.to_array(tensor)
        value = {"w": np.ones_like(array)}.get(tensor.name, np.zeros_like(array))
        tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
    for attribute in squared.graph.node[-1].attribute:
        if attribute.name == "alpha":
            attribute.f = attribute.f**2
    expected = sigma**2 * run_ort(squared, {key: x**2 for key, x in feeds.items()})[0]
    assert draws[0].size * len(LINEAR) <= OUTPUTS * 4
    low, high = stats.chi2.ppf([FALSE_ALARM / OUTPUTS / 2, 1 - FALSE_ALARM / OUTPUTS / 2], TRIALS)
    ratio = np.square(draws - clean).sum(axis=0) / expected
    assert low < ratio.min() <= ratio.max() < high
