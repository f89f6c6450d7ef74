"""onnx's own node tests with their weights made constant.

Silent noise gives the expected outputs, and noise the variance sigma^2 * (sum of the squared inputs), which is the same
operator applied to squared inputs and weights of ones.

The variance is tested with chi-square: 40 trials of noise on every output. Outputs of one trial are correlated, so each
is tested by itself; the bounds hold for all outputs of all tests together with a false-alarm rate of 1e-6 (Bonferroni).
The seed is fixed, so the verdict is, too.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx.backend.test.case.node import collect_testcases
from running import noise, run_ort, run_reference, session
from scipy import stats

from nmtool.ops.analog import ANALOG_OPS
from nmtool.verbs.inject import inject

TRIALS, FALSE_ALARM, OUTPUTS = 40, 1e-6, 100_000
OPERATORS = ("MatMul", "Gemm", "Conv", "ConvTranspose", "LSTM", "GRU", "RNN", "DeformConv", "Einsum")
LINEAR = ("MatMul", "Gemm", "Conv", "ConvTranspose")


def collect() -> dict[str, onnx.backend.test.loader.TestCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # onnx's own numpy code divides by zero on purpose
        cases = [case for case in collect_testcases(None) if case.model is not None]
    return {case.name: case for case in cases if len(case.model.graph.node) == 1}


CASES = {
    name: case
    for name, case in collect().items()
    if case.model.graph.node[0].op_type in OPERATORS and len(case.model.graph.input) > 1
}


def with_constants(name: str) -> tuple[onnx.ModelProto, dict[str, NDArray], Sequence[NDArray]]:
    """The case's model with its weights as initializers, the other inputs, and the expected outputs."""
    case = CASES[name]
    model, node = onnx.ModelProto(), case.model.graph.node[0]
    model.CopyFrom(case.model)
    inputs, outputs = case.data_sets[0]
    feeds = dict(zip((value.name for value in model.graph.input), inputs, strict=True))
    for operand in ANALOG_OPS["", node.op_type].operands[: 2 if node.op_type in ("LSTM", "GRU", "RNN") else 1]:
        weights = feeds.pop(node.input[operand])
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights, node.input[operand]))
        kept = [value for value in model.graph.input if value.name != node.input[operand]]
        del model.graph.input[:]
        model.graph.input.extend(kept)
    return model, feeds, outputs


def has_spread(model: onnx.ModelProto) -> bool:
    return all(np.ptp(onnx.numpy_helper.to_array(tensor)) > 0 for tensor in model.graph.initializer)


def lifted(model: onnx.ModelProto) -> onnx.ModelProto:
    """At an opset with exact noise; the operators tested here did not change."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for opset in result.opset_import:
        opset.version = max(opset.version, 18)
    result.ir_version = max(result.ir_version, 8)
    return result


@pytest.mark.parametrize("name", CASES)
def test_silent_noise_gives_the_expected_outputs(name: str) -> None:
    model, feeds, expected = with_constants(name)
    unit = "range" if has_spread(model) else "max"  # noise relative to the range of equal weights is zero
    noisy = inject(lifted(model), relative_to=unit).model
    ran = 0
    for run in (run_ort, run_reference):
        try:
            run(model, feeds)
        except Exception:  # a runtime without the operator or the type raises an error of its own; one must do
            continue
        outputs = run(noisy, {**feeds, **noise(3, 0.0)})
        for expected_output, output in zip(expected, outputs, strict=True):
            np.testing.assert_allclose(output, expected_output, rtol=1e-3, atol=1e-5)
        ran += 1
    assert ran


def variances(model: onnx.ModelProto, feeds: dict[str, NDArray], sigma: float) -> NDArray:
    """What the noise adds to the variance of each output: the operator on squared inputs and weights of ones."""
    squared = onnx.ModelProto()
    squared.CopyFrom(model)
    node = squared.graph.node[0]
    for attribute in node.attribute:
        if attribute.name == "alpha":
            attribute.f = attribute.f**2
    for tensor in squared.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.ones_like(array), tensor.name))
    silent = {
        name: np.zeros_like(array) for name, array in feeds.items() if name in node.input[2:]
    }  # a bias has no noise
    return sigma**2 * run_ort(squared, {name: array**2 for name, array in feeds.items()} | silent)[0]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.model.graph.node[0].op_type in LINEAR])
def test_noise_has_the_closed_form_variance(name: str) -> None:
    model, feeds, _ = with_constants(name)
    if next(iter(feeds.values())).dtype.kind != "f":
        pytest.skip("integers stay digital")
    injection = inject(lifted(model), eta=0.1, relative_to="max", seed=11)
    runner = session(injection.model)
    draws = [runner.run(None, {**feeds, **noise(trial)})[0] for trial in range(TRIALS)]
    clean = runner.run(None, {**feeds, **noise(0, 0.0)})[0]
    (sigma,) = (node.sigma for node in injection.report.nodes)
    expected = variances(model, feeds, sigma).astype(np.float64)
    squares = np.square((np.array(draws) - clean).astype(np.float64)).sum(axis=0)
    still = expected <= 1e-12 * expected.max()
    assert np.all(squares[still] <= 1e-6 * expected.max())
    alpha = FALSE_ALARM / OUTPUTS
    low, high = stats.chi2.ppf([alpha / 2, 1 - alpha / 2], TRIALS)
    ratio = squares[~still] / expected[~still]
    assert low < ratio.min() <= ratio.max() < high
    # All outputs together: they are correlated through shared weights, so only the mean is bounded, loosely.
    assert 0.6 < ratio.mean() / TRIALS < 1.5


def test_enough_cases_are_tested() -> None:
    counts = {op: sum(case.model.graph.node[0].op_type == op for case in CASES.values()) for op in OPERATORS}
    assert counts["Conv"] >= 4
    assert counts["ConvTranspose"] >= 8
    assert counts["Gemm"] >= 10
    assert all(counts.values())
    outputs = sum(case.data_sets[0][1][0].size for case in CASES.values() if case.model.graph.node[0].op_type in LINEAR)
    assert outputs <= OUTPUTS
    assert ir.from_proto(next(iter(CASES.values())).model)
