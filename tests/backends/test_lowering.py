"""When a session lowers a model, when it does not, and what it says then."""

import logging

import numpy as np
import onnx_ir as ir
import pytest
from convolutions import convolution

import nmtool
from nmtool.backends import ort
from nmtool.errors import ModelError

X = np.random.default_rng(1).standard_normal((2, 32, 12, 12)).astype(np.float32)


@pytest.fixture
def noisy():
    return nmtool.inject(convolution(32, 32), eta=0.1).model


def output(session):
    return session.run(None, {"x": X, "noise_trial": np.array(5)})[0]


@pytest.fixture
def opened(monkeypatch):
    """The models that sessions are opened with."""
    models = []
    original = ort._open

    def spy(model, options, providers):
        models.append(model)
        return original(model, options, providers)

    monkeypatch.setattr(ort, "_open", spy)
    return models


def operators(model):
    return {node.op_type for node in model.graph} if isinstance(model, ir.Model) else set()


@pytest.mark.parametrize("options", [{}, {"lowering": False}, {"library": False}, {"optimization": "basic"}], ids=str)
def test_a_session_is_lowered_where_the_library_draws_and_the_runtime_lays_out(noisy, opened, options):
    nmtool.session(noisy, **options)
    assert ("BlockedGaussianNoise" in operators(opened[-1])) == (options == {})


def test_a_model_that_lowering_does_not_change_is_opened_as_it_is(opened, tmp_path):
    nmtool.save(nmtool.inject(convolution(32, 32), noise="lognormal", eta=0.1).model, tmp_path / "noisy.onnx")
    nmtool.session(tmp_path / "noisy.onnx")
    assert opened[-1] == tmp_path / "noisy.onnx"


def test_the_graph_of_a_clean_model_is_not_read(opened, monkeypatch, tmp_path):
    nmtool.save(ir.from_proto(convolution(32, 32)), tmp_path / "clean.onnx")
    monkeypatch.setattr(ort, "load_model", None)
    nmtool.session(tmp_path / "clean.onnx")
    assert opened == [tmp_path / "clean.onnx"]


def test_metadata_and_inputs_of_a_lowered_model_are_those_of_the_file(noisy):
    lowered, portable = (nmtool.session(noisy, lowering=lowering) for lowering in (True, False))
    for names in ("get_inputs", "get_outputs", "get_overridable_initializers"):
        assert [v.name for v in getattr(lowered, names)()] == [v.name for v in getattr(portable, names)()]
    assert lowered.get_modelmeta().custom_metadata_map == portable.get_modelmeta().custom_metadata_map


def test_a_runtime_that_fails_offline_leaves_the_portable_form(noisy, monkeypatch, caplog):
    expected = output(nmtool.session(noisy, lowering=False))

    def fail(model, libraries):
        raise ModelError("no offline optimisation in this version")

    monkeypatch.setattr(ort, "_laid_out", fail)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(output(nmtool.session(noisy)), expected)
    assert "portable form, slower: no offline optimisation" in caplog.text


def test_a_layout_that_is_not_known_leaves_the_noise_in_front(noisy, monkeypatch):
    expected = output(nmtool.session(noisy, lowering=False))
    laid_out = ort._laid_out

    def other_layout(model, libraries):
        made = laid_out(model, libraries)
        for node in made.graph:
            if node.domain == "com.microsoft.nchwc" and node.op_type == "Conv":
                weights = node.inputs[1]
                array = weights.const_value.numpy()
                weights.const_value = ir.tensor(array.ravel()[::-1].reshape(array.shape), name=weights.name)
        return made

    monkeypatch.setattr(ort, "_laid_out", other_layout)
    assert [(f.form, f.reason) for f in nmtool.explain_session(noisy)] == [
        ("weights", "the runtime does not lay its weights out in blocks")
    ]
    np.testing.assert_array_equal(output(nmtool.session(noisy)), expected)


def test_sampling_without_lowering_is_said(noisy, caplog):
    with caplog.at_level(logging.WARNING):
        nmtool.session(noisy, lowering=False, sampling="auto")
    assert "noise is drawn for each weight" in caplog.text


def test_a_compiled_model_gives_the_same_and_is_not_changed_any_more(noisy, tmp_path):
    path = tmp_path / "compiled.onnx"
    nmtool.save(nmtool.compile(noisy), path)
    np.testing.assert_array_equal(output(nmtool.session(path)), output(nmtool.session(noisy)))
    assert nmtool.run(path, {"x": X}, trial=5).keys() == nmtool.run(noisy, {"x": X}, trial=5).keys()
    for verb in (nmtool.bake, nmtool.strip, nmtool.compile, nmtool.explain_session):
        with pytest.raises(ModelError, match="the model is compiled for onnxruntime"):
            verb(path)


def test_a_compiled_model_of_another_machine_is_refused(noisy, monkeypatch):
    compiled = nmtool.compile(noisy)
    monkeypatch.setattr(ort, "machine", lambda: "onnxruntime 9.9 with sve")
    with pytest.raises(ModelError, match=r"compiled for onnxruntime .*; this is onnxruntime 9\.9 with sve"):
        nmtool.session(compiled)


def test_a_model_without_noise_cannot_be_compiled():
    with pytest.raises(ModelError, match="not noisy"):
        nmtool.compile(convolution(32, 32))
