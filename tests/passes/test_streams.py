"""Whose noise is whose: physical arrays, independence of everything else in the model and around it."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from running import noise, run_ort, session
from zoo import ZOO

from build import constant, function, model, weights
from nmtool.noise.reference import Source, normals
from nmtool.noise.stream import stream_of
from nmtool.probe import random_inputs
from nmtool.verbs.inject import inject


def read_back(proto: onnx.ModelProto, x: np.ndarray, **sample: float) -> list[np.ndarray]:
    """The outputs of a noisy model; with unit vectors as inputs, the noisy weights."""
    return run_ort(inject(proto, eta=0.1, seed=9).model, {"x": x} | noise(**sample))


def expected(name: str, array: np.ndarray, *, trial: int = 0, seed: int = 9, eta: float = 0.1) -> np.ndarray:
    z = normals(Source(seed, stream_of(name), trial), 0, array.size).reshape(array.shape)
    return array + np.float32(eta * np.ptp(array)) * z


EYE3, EYE4 = np.eye(3, dtype=np.float32), np.eye(4, dtype=np.float32)


def test_noise_is_that_of_the_specification() -> None:
    w = weights(3, 4)
    proto = model("g (float[3,3] x) => (float[3,4] y) { y = MatMul(x, w) }", w=w)
    for trial in (0, 1, 2**32 - 1):
        np.testing.assert_allclose(read_back(proto, EYE3, trial=trial)[0], expected("w", w, trial=trial), atol=3e-6)
    np.testing.assert_array_equal(read_back(proto, EYE3, trial=5)[0], read_back(proto, EYE3, trial=2**32 + 5)[0])


def test_tied_weights_have_the_same_noise_in_both_uses() -> None:
    w = weights(3, 4)
    text = "g (float[3,3] x, float[4,4] u) => (float[3,4] y, z) { y = MatMul(x, w) t = Transpose(w) z = MatMul(u, t) }"
    noisy = inject(model(text, w=w), eta=0.1, seed=9).model
    y, z = run_ort(noisy, {"x": EYE3, "u": EYE4} | noise(4))
    np.testing.assert_array_equal(y, z.T)
    np.testing.assert_allclose(y, expected("w", w, trial=4), atol=3e-6)


def test_tied_embedding_stays_clean() -> None:
    entry = ZOO["tied"]
    table = onnx.numpy_helper.to_array(entry.proto.graph.initializer[0])
    indices = np.array([1, 3])
    y, e = run_ort(inject(entry.proto, eta=0.1, seed=9).model, {"i": indices} | noise(2))
    np.testing.assert_array_equal(e, table[indices])
    np.testing.assert_allclose(y, table[indices] @ expected("w", table, trial=2).T, rtol=1e-5, atol=1e-5)


def test_tied_weights_per_channel_are_one_array_with_one_size() -> None:
    w = weights(3, 3)
    text = "g (float[3,3] x) => (float[3,3] y, z) { y = MatMul(x, w) t = Transpose(w) z = MatMul(x, t) }"
    noisy = inject(model(text, w=w), eta=0.1, per_channel=True).model
    y, z = run_ort(noisy, {"x": EYE3} | noise(4))
    np.testing.assert_array_equal(y, z.T)


def test_recurrent_matrices_have_their_own_streams() -> None:
    noisy = inject(ZOO["lstm"].proto).model
    streams = [node.attributes.get_int("stream") for node in noisy.graph if node.op_type == "GaussianNoise"]
    assert streams == [stream_of("w"), stream_of("r")]


def test_siblings_of_the_same_name_have_their_own_streams() -> None:
    w = weights(3, 4)
    text = "g (bool c, float[3,3] x) => (float[3,4] y) { y = If(c) <"
    text += "then_branch = t () => (float[3,4] a) { w = @ a = MatMul(x, w) }, "
    text += "else_branch = e () => (float[3,4] b) { w = @ b = MatMul(x, w) }> }"
    noisy = inject(model(text.replace("@", constant(w))), eta=0.1, seed=9).model
    for branch, condition in (("then_branch", True), ("else_branch", False)):
        (y,) = run_ort(noisy, {"x": EYE3, "c": np.array(condition)} | noise(1))
        np.testing.assert_allclose(y, expected(f"y/{branch}/w", w, trial=1), atol=3e-6)


def test_calls_of_a_function_share_the_arrays_inside() -> None:
    w = weights(3, 3)
    text = "g (float[3,3] x) => (float[3,3] y, z) { y = f.F(x) z = f.F(x) }" + function(
        "F (x) => (y) { w = " + constant(w) + " y = MatMul(x, w) }"
    )
    y, z = run_ort(inject(model(text, imports=("f",)), eta=0.1, seed=9).model, {"x": EYE3} | noise(1))
    np.testing.assert_array_equal(y, z)
    np.testing.assert_allclose(y, expected("f::F/w", w, trial=1), atol=3e-6)


def test_a_loop_uses_one_sample_in_all_its_turns() -> None:
    entry = ZOO["loop_captured"]
    w = onnx.numpy_helper.to_array(entry.proto.graph.initializer[0])
    x = weights(2, 3)
    (y,) = run_ort(inject(entry.proto, eta=0.1, seed=9).model, {"x": x} | noise(6))
    sample = expected("w", w, trial=6)
    np.testing.assert_allclose(y, x @ sample @ sample @ sample, rtol=1e-4)


TWO = "g (float[3,3] x) => (float[3,4] y, z) { y = MatMul(x, v) z = MatMul(x, w) }"


def test_other_layers_do_not_change_the_noise() -> None:
    v, w = weights(3, 4), weights(3, 4, seed=1)
    _, both = read_back(model(TWO, v=v, w=w), EYE3, trial=3)
    alone = model(TWO.replace("y = MatMul(x, v)", "").replace("float[3,4] y, z", "float[3,4] z"), w=w)
    np.testing.assert_array_equal(read_back(alone, EYE3, trial=3)[0], both)
    partial = inject(model(TWO, v=v, w=w), eta=0.1, seed=9, exclude=["y"]).model
    y, z = run_ort(partial, {"x": EYE3} | noise(3))
    np.testing.assert_array_equal(y, v)
    np.testing.assert_array_equal(z, both)


def test_seed_trial_and_scale_choose_the_sample() -> None:
    proto = model(TWO, v=weights(3, 4), w=weights(3, 4))
    y, z = read_back(proto, EYE3)
    assert np.abs(y - z).max() > 0.01  # equal weights under another name
    assert np.abs(read_back(proto, EYE3, trial=1)[0] - y).max() > 0.01
    other = run_ort(inject(proto, eta=0.1, seed=-10).model, {"x": EYE3} | noise())[0]
    assert np.abs(other - y).max() > 0.01
    half = read_back(proto, EYE3, scale=0.5)[0]
    np.testing.assert_allclose(half - weights(3, 4), (y - weights(3, 4)) / 2, atol=1e-6)


@pytest.mark.parametrize("name", ["conv_2d_bias", "matmul_right", "lstm", "function_nested"])
def test_noise_does_not_depend_on_threads_sessions_or_order(name: str) -> None:
    proto = ZOO[name].proto
    noisy = inject(proto).model
    feeds = random_inputs(ir.from_proto(proto))
    one, two = session(noisy, threads=1), session(noisy, threads=2)
    trials = [one.run(None, feeds | noise(trial)) for trial in range(4)]
    for trial in (2, 0, 3, 1):
        for a, b in zip(trials[trial], two.run(None, feeds | noise(trial)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_noise_does_not_depend_on_the_split_of_a_batch() -> None:
    proto = model("g (float[n,2,5] x) => (y) { y = Conv(x, w) }", w=weights(3, 2, 2))
    runner, x = session(inject(proto).model), weights(4, 2, 5)
    (whole,) = runner.run(None, {"x": x} | noise(8))
    parts = [runner.run(None, {"x": x[k : k + 1]} | noise(8))[0] for k in range(4)]
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=1e-6, atol=1e-6)


def test_fresh_noise_is_new_at_every_run_and_needs_no_trial() -> None:
    noisy = inject(ZOO["matmul_right"].proto, fresh=True).model
    assert [value.name for value in noisy.graph.inputs] == ["x", "noise_scale"]
    runner, feeds = session(noisy), {"x": weights(2, 3)}
    outputs = {runner.run(None, feeds)[0].tobytes() for _ in range(8)}
    assert len(outputs) == 8
    silent = {"noise_scale": np.array(0, np.float32)}
    np.testing.assert_allclose(
        runner.run(None, feeds | silent)[0], run_ort(ZOO["matmul_right"].proto, feeds)[0], rtol=1e-6
    )


DYNAMIC = "g (float[2,3,4] x, float[2,4,5] k) => (float[2,3,5] y) { y = MatMul(x, k) }"


@pytest.mark.parametrize("unit", ["range", "max", "std"])
def test_dynamic_noise_is_sized_by_each_matrix(unit: str) -> None:
    x = np.tile(np.eye(4, dtype=np.float32)[:3], (2, 1, 1))
    k = weights(2, 4, 5) * np.array([1, 100], np.float32).reshape(2, 1, 1)
    noisy = inject(model(DYNAMIC), eta=0.1, seed=9, relative_to=unit, dynamic=True).model
    (y,) = run_ort(noisy, {"x": x, "k": k} | noise(2))
    size = {"range": np.ptp(k, axis=(1, 2)), "max": np.abs(k).max(axis=(1, 2)), "std": k.std(axis=(1, 2))}[unit]
    z = normals(Source(9, stream_of("k"), 2), 0, k.size).reshape(k.shape)
    np.testing.assert_allclose(y, (k + 0.1 * size.reshape(2, 1, 1) * z)[:, :3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_dynamic_noise_below_opset_18(opset: int) -> None:
    noisy = inject(model(DYNAMIC, opset=opset), dynamic=True).model
    feeds = {"x": weights(2, 3, 4), "k": weights(2, 4, 5)}
    assert np.abs(run_ort(noisy, feeds)[0] - feeds["x"] @ feeds["k"]).max() > 0.01
    np.testing.assert_allclose(run_ort(noisy, feeds | noise(0, 0.0))[0], feeds["x"] @ feeds["k"], rtol=1e-5, atol=1e-5)
