"""Versions, files and structures at the edges of what inject takes."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from running import noise, run_ort

from build import function, model, weights
from nmtool.errors import ModelError, UsageError
from nmtool.model import load, save
from nmtool.noise import Gaussian
from nmtool.passes.inject_noise import InjectNoise
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import inject
from nmtool.verbs.strip import strip

TEXT = "g (float[2,3] x) => (float[2,4] y) { y = MatMul(x, w) }"
W = weights(3, 4)
NEWEST_IR = 13


def serialized(source: onnx.ModelProto | ir.Model) -> bytes:
    proto = ir.to_proto(source if isinstance(source, ir.Model) else ir.from_proto(source))
    return proto.SerializeToString(deterministic=True)


def test_a_model_without_matrix_products_is_returned_unchanged() -> None:
    source = ir.from_proto(model("g (float[2] x) => (float[2] y) { y = Relu(x) }"))
    before = serialized(source)
    result = InjectNoise(Gaussian())(source)
    assert not result.modified
    assert serialized(result.model) == before
    with pytest.raises(ModelError, match="no operator that maps"):
        inject(source)


def test_opset_6_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="opset is 6, below 7"):
        inject(model(TEXT, opset=6, ir_version=3, w=W))


@pytest.mark.parametrize("version", range(3, NEWEST_IR + 1))
def test_ir_versions(version: int) -> None:
    text = TEXT.replace("x)", "x, float[3,4] w)") if version == 3 else TEXT  # initializers were inputs
    source = model(text, opset=9, ir_version=version, w=W)
    noisy = inject(source).model
    onnx.checker.check_model(ir.to_proto(noisy), full_check=True)
    x = weights(2, 3)
    np.testing.assert_allclose(run_ort(noisy, {"x": x} | noise(0, 0.0))[0], x @ W, rtol=1e-5)
    assert serialized(strip(noisy)) == serialized(source)


def test_lifting_to_opset_18_makes_the_noise_exact() -> None:
    injection = inject(model(TEXT, opset=11, w=W), opset=18)
    x = weights(2, 3)
    expected = run_ort(bake(injection.model, trial=4), {"x": x})[0]
    np.testing.assert_allclose(run_ort(injection.model, {"x": x} | noise(4))[0], expected, rtol=1e-5)
    assert any("lifted from opset 11 to 18" in note for note in injection.report.notes)
    with pytest.raises(UsageError, match="opset"):
        inject(model(TEXT, opset=18, w=W), opset=17)


def test_below_opset_18_activations_cannot_be_baked() -> None:
    text = "g (float[2,3] x, float[3,4] k) => (float[2,4] y) { y = MatMul(x, k) }"
    with pytest.raises(ModelError, match="no specified values"):
        bake(inject(model(text, opset=13), dynamic=True).model)


def test_external_data_stays_external(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    onnx.save(
        model(TEXT, w=W), tmp_path / "source/m.onnx", save_as_external_data=True, location="m.data", size_threshold=0
    )
    noisy = inject(tmp_path / "source/m.onnx").model
    assert isinstance(noisy.graph.initializers["w"].const_value, ir.ExternalTensor)
    (tmp_path / "noisy").mkdir()
    save(noisy, tmp_path / "noisy/n.onnx")
    baked = bake(tmp_path / "noisy/n.onnx", trial=3)
    save(baked, tmp_path / "noisy/b.onnx", own_data=True)
    x = weights(2, 3)
    expected = run_ort(inject(model(TEXT, w=W)).model, {"x": x} | noise(3))[0]
    np.testing.assert_allclose(run_ort(onnx.load(tmp_path / "noisy/b.onnx"), {"x": x})[0], expected, rtol=1e-5)
    np.testing.assert_allclose(
        run_ort(onnx.load(tmp_path / "noisy/n.onnx"), {"x": x} | noise(3))[0], expected, rtol=1e-5
    )
    restored = strip(tmp_path / "noisy/n.onnx")
    np.testing.assert_array_equal(restored.graph.initializers["w"].const_value.numpy(), W)


def test_deep_models_do_not_exhaust_the_stack() -> None:
    depth = 2 * sys.getrecursionlimit()
    body = " ".join(f"x{k + 1} = Relu(x{k})" for k in range(depth))
    source = model(f"g (float[2,3] x0) => (float[2,4] y) {{ {body} y = MatMul(x{depth}, w) }}", w=W)
    assert inject(source).report.nodes[0].array == "w"


def test_a_function_that_uses_weights_in_two_ways() -> None:
    text = "g (float[2,2] x) => (float[2,2] y) { h = f.F(x, w) y = MatMul(h, v) }"
    text += function("F (x, v) => (y) { z = MatMul(x, v) y = Add(z, v) }")
    found = inject(model(text, imports=("f",), w=weights(2, 2), v=weights(2, 2, seed=1)))
    assert [(n.name, n.status) for n in found.report.nodes] == [("h", "digital"), ("y", "noisy")]
    assert "also uses the weights" in found.report.nodes[0].reason


def test_products_inside_functions_without_constant_arguments_are_reported_there() -> None:
    text = "g (float[2,2] x) => (float[2,2] y) { h = f.F(x, x) y = MatMul(h, v) }"
    text += function("F (a, b) => (p) { p = MatMul(a, b) }")
    source = model(text, imports=("f",), v=weights(2, 2))
    assert [(n.name, n.status) for n in inject(source).report.nodes] == [("y", "noisy"), ("p", "digital")]
    dynamic = inject(source, dynamic=True)
    assert [(n.name, n.status) for n in dynamic.report.nodes] == [("y", "noisy"), ("p", "noisy")]
    x = weights(2, 2)
    silent = run_ort(dynamic.model, {"x": x} | noise(0, 0.0))[0]
    np.testing.assert_allclose(silent, x @ x @ weights(2, 2), rtol=1e-5)
    np.testing.assert_allclose(
        run_ort(bake(dynamic.model, trial=5), {"x": x})[0], run_ort(dynamic.model, {"x": x} | noise(5))[0], rtol=1e-5
    )


def test_fresh_noise_on_activations_is_frozen_by_bake() -> None:
    source = model("g (float[2,3] x, float[3,4] k) => (float[2,4] y) { y = MatMul(x, k) }")
    feeds = {"x": weights(2, 3), "k": weights(3, 4)}
    frozen = run_ort(bake(inject(source, dynamic=True, fresh=True).model, trial=5), feeds)[0]
    np.testing.assert_allclose(frozen, run_ort(inject(source, dynamic=True).model, feeds | noise(5))[0], rtol=1e-5)


def test_weights_that_are_not_finite_are_named() -> None:
    for bad in (np.nan, np.inf):
        w = W.copy()
        w[1, 1] = bad
        with pytest.raises(ModelError, match="weights 'w' hold NaN or infinite values: 1 of 12"):
            inject(model(TEXT, w=w))


def test_empty_arrays_stay_digital() -> None:
    text = "g (float[2,3] x) => (float[2,4] y, float[2,0] z) { y = MatMul(x, w) z = MatMul(x, e) }"
    nodes = inject(model(text, w=W, e=np.zeros((3, 0), np.float32))).report.nodes
    assert [(n.name, n.status) for n in nodes] == [("y", "noisy"), ("z", "digital")]


def test_a_noisy_model_is_refused_by_inject_and_a_clean_one_by_strip_and_bake() -> None:
    source = model(TEXT, w=W)
    with pytest.raises(ModelError, match="noisy already"):
        inject(inject(source).model)
    for verb in (strip, bake):
        with pytest.raises(ModelError, match="not noisy"):
            verb(source)


def test_loading_keeps_the_source(tmp_path: Path) -> None:
    source = load(model(TEXT, w=W))
    before = serialized(source)
    noisy = inject(source).model
    before_noisy = serialized(noisy)
    bake(noisy)
    strip(noisy)
    assert serialized(source) == before
    assert serialized(noisy) == before_noisy


def test_bake_refuses_a_composite_that_computes_its_parameters() -> None:
    proto = ir.to_proto(inject(model("g (float[2,3] x) => (float[2,4] y) { y = MatMul(x, w) }", w=weights(3, 4))).model)
    function = next(function for function in proto.functions if function.name == "NoisyMatMul")
    function.node.insert(0, onnx.helper.make_node("Add", ["std", "std"], ["sum"]))
    function.node[1].input[1] = "sum"
    with pytest.raises(ModelError, match="computes the parameters"):
        bake(proto)


def test_a_composite_without_noise_is_refused_by_name() -> None:
    proto = ir.to_proto(inject(model("g (float[2,3] x) => (float[2,4] y) { y = MatMul(x, w) }", w=weights(3, 4))).model)
    function = next(function for function in proto.functions if function.name == "NoisyMatMul")
    function.node[-1].input[1] = "B"
    for verb in (strip, bake):
        with pytest.raises(ModelError, match="'y' is a nmtool::NoisyMatMul, which the model does not define"):
            verb(proto)
