"""Runners on engines that compile, with engines made for the test."""

import numpy as np
import onnx_ir as ir
import pytest

from build import model, weights
from nmtool.backends import noise_probe, ort
from nmtool.backends.compiled import CompiledRunner
from nmtool.backends.engine import Engine, inline_functions
from nmtool.errors import ModelError
from nmtool.verbs.inject import inject

TEXT = "g (float[N,3] x, float s = {2.0}) => (float[N,3] y) { a = Mul(x, s) y = Relu(a) }"
X = np.ones((1, 3), np.float32)


class Recorder:
    """Builds on onnxruntime, and keeps what it was given."""

    def __init__(self, change=lambda outputs: outputs):
        self.models, self.change = [], change

    def __call__(self, model: ir.Model):
        self.models.append(model.clone())
        inline_functions(model)
        session = ort.session(model, library=False)
        return lambda outputs, feeds: self.change(session.run(list(outputs), dict(feeds)))

    def inputs(self):
        return [[(value.name, value.shape) for value in each.graph.inputs] for each in self.models]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(noise_probe, "_known", {})


def test_a_default_is_a_constant_until_it_is_fed():
    build = Recorder()
    runner = CompiledRunner(model(TEXT), Engine("e 1", build))
    for feeds in ({"x": X}, {"x": X, "s": np.float32(3)}, {"x": X}, {"x": np.ones((4, 3), np.float32)}):
        (y,) = runner.run(["y"], feeds)
        np.testing.assert_array_equal(y, feeds["x"] * feeds.get("s", 2))
    assert build.inputs() == [[("x", ["N", 3])], [("x", ["N", 3]), ("s", [])]]


def test_engines_by_shape_get_each_shape_once():
    build = Recorder()
    runner = CompiledRunner(model(TEXT), Engine("e 1", build, by_shape=True))
    assert build.models == []  # the batch is not known
    for size in (2, 1, 2):
        runner.run(["y"], {"x": np.ones((size, 3), np.float32)})
    assert build.inputs() == [[("x", [2, 3])], [("x", [1, 3])]]
    assert all(node.outputs[0].shape is None for each in build.models for node in each.graph if node.op_type == "Mul")
    for size in range(20):
        runner.run(["y"], {"x": np.ones((size, 3), np.float32)})
    assert len(runner._compiled) < 10


def test_a_model_of_one_shape_is_compiled_at_once():
    build = Recorder()
    CompiledRunner(model(TEXT.replace("N", "2")), Engine("e 1", build, by_shape=True))
    assert build.inputs() == [[("x", [2, 3])]]


def fails(*_):
    raise ValueError("it does not like it\nbecause of its source file")


def test_errors_name_the_engine_and_the_first_line():
    with pytest.raises(ModelError, match=r"^e 1 cannot load the model: it does not like it$"):
        CompiledRunner(model(TEXT), Engine("e 1", fails))
    runner = CompiledRunner(model(TEXT), Engine("e 1", lambda _: fails))
    with pytest.raises(ModelError, match=r"^e 1 failed to run the model: it does not like it$"):
        runner.run(["y"], {"x": X})


@pytest.mark.parametrize(
    ("outputs", "feeds", "reason"),
    [
        (["y"], {}, "no array for input 'x'"),
        (["z"], {"x": X}, "no output 'z'"),
        (["y"], {"x": X, "z": X}, "no input 'z'"),
        (["y"], {"x": X.astype(int)}, r"input 'x' is int64 \[1, 3\], not float32 \[\?, 3\]"),
        (["y"], {"x": X[0]}, r"input 'x' is float32 \[3\], not float32 \[\?, 3\]"),
    ],
)
def test_what_does_not_fit_never_reaches_the_engine(outputs, feeds, reason):
    runner = CompiledRunner(model(TEXT), Engine("e 1", lambda _: pytest.fail))
    with pytest.raises(ModelError, match=reason):
        runner.run(outputs, feeds)


def noisy(opset: int) -> ir.Model:
    return inject(model("g (float[2,4] x) => (float[2,3] y) { y = MatMul(x, w) }", opset=opset, w=weights(4, 3))).model


@pytest.mark.parametrize("opset", [13, 18])
def test_an_engine_that_draws_the_noise_is_tried_once(opset):
    build = Recorder()
    for _ in range(2):
        CompiledRunner(noisy(opset), Engine("e 1", build))
    assert len(build.models) == 3
    assert [name for name, _ in build.inputs()[-1]] == ["x", "noise_trial", "noise_scale"]


WRONG = {
    "larger": lambda draws: [1.2 * draw for draw in draws],
    "shifted": lambda draws: [draw + 0.1 for draw in draws],
    "skewed": lambda draws: [np.sqrt(0.5) * (np.square(draw) - 1) for draw in draws],
    "the same in all nodes": lambda draws: [draws[0] for _ in draws],
    "the same in all runs": lambda draws: [
        np.random.default_rng(i).standard_normal(1 << 14) for i in range(len(draws))
    ],
    "not a number": lambda draws: [draw * np.nan for draw in draws],
    "not computed": fails,
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("opset", [13, 18])
def test_an_engine_with_other_noise_is_refused(opset, wrong):
    build = Recorder(WRONG[wrong])
    with pytest.raises(ModelError, match=r"^e 1 computes other noise") as caught:
        CompiledRunner(noisy(opset), Engine("e 1", build))
    assert "nmtool bake" in str(caught.value.hint)
    CompiledRunner(model(TEXT), Engine("e 1", build))  # models without noise are none of its business


def test_noise_whose_functions_are_gone_is_known_by_its_record():
    flat = noisy(18)
    inline_functions(flat)
    with pytest.raises(ModelError, match="other noise"):
        CompiledRunner(flat, Engine("e 1", Recorder(WRONG["larger"])))


def test_an_engine_may_be_known_to_be_unable():
    build = Recorder()
    with pytest.raises(ModelError, match="other noise"):
        CompiledRunner(noisy(18), Engine("e 1", build, noise=False))
    assert build.models == []
