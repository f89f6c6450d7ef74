"""What inject, strip and bake promise, on every model of the zoo."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from running import has_library, noise, run_ort, run_reference
from zoo import ZOO, Entry

from nmtool import provenance
from nmtool.noise import Gaussian
from nmtool.ops import DOMAIN
from nmtool.ops.analog import ANALOG_OPS, DIGITAL_OPS
from nmtool.passes.graphs import sites, value_names
from nmtool.passes.inject_noise import InjectNoise
from nmtool.probe import random_inputs
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import inject
from nmtool.verbs.strip import strip

OPTIONS = {
    "gaussian": {},
    "per_channel": {"per_channel": True},
    "dynamic": {"dynamic": True},
    "lognormal": {"noise": "lognormal"},
    "stuck": {"noise": "stuck"},
    "fresh": {"fresh": True},
}
PAIRS = [(n, o) for n in ZOO for o in OPTIONS if o == "gaussian" or not n.startswith("opset_")]
EXACT = [name for name, entry in ZOO.items() if ir.from_proto(entry.proto).opset_imports[""] >= 18]


@pytest.fixture(params=ZOO)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def entry(name: str) -> Entry:
    return ZOO[name]


def feeds_of(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    return random_inputs(ir.from_proto(proto), batch=2)


def injected(entry: Entry, **options: object) -> tuple[ir.Model, dict[str, str]]:
    """The noisy model, and the names of its noise inputs by those that they usually have."""
    model = inject(entry.proto, **{**entry.options, **options}).model
    record = provenance.read(model)
    assert record is not None
    return model, {"noise_trial": record.trial_input, "noise_scale": record.scale_input}


def renamed(values: dict[str, np.ndarray], names: dict[str, str]) -> dict[str, np.ndarray]:
    return {names[name]: value for name, value in values.items()}


def difference(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """The largest difference relative to the largest value, over all outputs."""
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        assert x.shape == y.shape
        assert x.dtype == y.dtype
        if x.size:
            x, y = x.astype(np.float64), y.astype(np.float64)
            worst = max(worst, float(np.abs(x - y).max() / max(np.abs(x).max(), 1e-30)))
    return worst


def tolerance(proto: onnx.ModelProto) -> float:
    return 3e-3 if any(v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16 for v in proto.graph.input) else 1e-5


def test_journal(entry: Entry) -> None:
    """Every matrix operator is reported once per array, noisy or with a reason."""
    report = inject(entry.proto, **entry.options).report
    assert [node.array for node in report.nodes if node.status == "noisy"] == list(entry.noisy)
    digital = {node.name: node.reason for node in report.nodes if node.status == "digital"}
    assert set(digital) == set(entry.digital)
    for node, reason in entry.digital.items():
        assert reason in digital[node]
    assert all(node.op_type for node in report.nodes)


def test_noise_changes_the_outputs_and_scale_0_does_not(entry: Entry) -> None:
    model, names = injected(entry)
    feeds = feeds_of(entry.proto)
    clean = run_ort(entry.proto, feeds)
    assert difference(clean, run_ort(model, feeds | renamed(noise(3, 0.0), names))) <= tolerance(entry.proto)
    assert difference(clean, run_ort(model, feeds)) > 1e-3  # the noise inputs have defaults


def test_reference_evaluator(entry: Entry) -> None:
    if not entry.reference:
        pytest.skip("onnx's reference evaluator does not run this model")
    model, names = injected(entry)
    feeds = feeds_of(entry.proto)
    sample = renamed(noise(5, 0.5), names)
    exact = ir.from_proto(entry.proto).opset_imports[""] >= 18
    if exact:
        assert difference(run_ort(model, feeds | sample), run_reference(model, feeds | sample)) <= tolerance(
            entry.proto
        )
    silent = renamed(noise(5, 0.0), names)
    assert difference(run_reference(entry.proto, feeds), run_reference(model, feeds | silent)) <= tolerance(entry.proto)


@pytest.mark.skipif(not has_library(), reason="the operator library is not built")
def test_library(entry: Entry) -> None:
    """The kernels and the bodies give the same values; below opset 18 the kernels equal the baked model."""
    model, names = injected(entry)
    feeds = feeds_of(entry.proto)
    sample = renamed(noise(5, 0.5), names)
    exact = ir.from_proto(entry.proto).opset_imports[""] >= 18
    expected = run_ort(model, feeds | sample) if exact else run_ort(bake(model, trial=5, scale=0.5), feeds)
    assert difference(expected, run_ort(model, feeds | sample, library=True)) <= tolerance(entry.proto)


@pytest.mark.parametrize(("name", "option"), PAIRS)
def test_injected_models_are_valid_and_strip_restores_the_source(entry: Entry, option: str) -> None:
    model, _ = injected(entry, **OPTIONS[option])
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    restored = ir.to_proto(strip(ir.to_proto(model)))
    expected = ir.to_proto(ir.from_proto(entry.proto))
    assert restored.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)


def test_injection_keeps_names_and_is_idempotent(entry: Entry) -> None:
    before = ir.from_proto(entry.proto)
    model, _ = injected(entry)
    assert value_names(before) <= value_names(model)
    assert {site.node.name for site in sites(before)} <= {site.node.name for site in sites(model)}
    once = ir.to_proto(model).SerializeToString(deterministic=True)
    again = InjectNoise(Gaussian(), dynamic=bool(entry.options.get("dynamic")))(model)
    assert not again.modified
    assert ir.to_proto(again.model).SerializeToString(deterministic=True) == once


@pytest.mark.parametrize(("name", "option"), [(n, o) for n, o in PAIRS if n in EXACT and o != "dynamic"])
def test_bake(entry: Entry, option: str) -> None:
    model, names = injected(entry, **OPTIONS[option])
    feeds = feeds_of(entry.proto)
    for trial, scale in ((0, 1.0), (7, 0.5)) if option == "gaussian" else ((3, 1.0),):
        baked = bake(model, trial=trial, scale=scale)
        proto = ir.to_proto(baked)
        onnx.checker.check_model(proto, full_check=True)
        assert DOMAIN not in {opset.domain for opset in proto.opset_import}
        assert not any(site.node.domain == DOMAIN for site in sites(baked))
        assert not any(domain == DOMAIN for domain, _, _ in baked.functions)
        assert [value.name for value in baked.graph.inputs] == [value.name for value in entry.proto.graph.input]
        assert [value.name for value in baked.graph.outputs] == [value.name for value in entry.proto.graph.output]
        got = run_ort(baked, feeds)
        if option == "fresh":
            assert difference(got, run_ort(baked, feeds)) == 0
        else:
            expected = run_ort(model, feeds | renamed(noise(trial, scale), names))
            assert difference(expected, got) <= tolerance(entry.proto)


def test_baking_keeps_the_structure_where_only_noisy_nodes_use_an_array() -> None:
    for name in (
        "matmul_right",
        "transpose",
        "conv_2d_bias",
        "lstm",
        "loop_captured",
        "function_inside",
        "two_attribute_sets",
    ):
        source = ir.from_proto(ZOO[name].proto)
        baked = bake(inject(ZOO[name].proto).model)
        assert [(s.node.name, s.node.op_type, *(o.name for o in s.node.outputs)) for s in sites(baked)] == [
            (s.node.name, s.node.op_type, *(o.name for o in s.node.outputs)) for s in sites(source)
        ]
        assert list(baked.graph.initializers) == list(source.graph.initializers)


def test_every_operator_of_the_tables_is_in_the_zoo_or_known_to_be_missing() -> None:
    used = {
        (node.domain, node.op_type) for entry in ZOO.values() for node in ir.from_proto(entry.proto).graph.all_nodes()
    }
    assert set(ANALOG_OPS) <= used | {("", "MatMul"), ("", "Gemm")}
    missing = {op for domain, op in set(DIGITAL_OPS) - used if domain == ""}
    assert missing == {"Attention"}
