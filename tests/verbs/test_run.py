"""`run`: the outputs are the model's, whatever the batches; trials advance as documented."""

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from nmtool.data import DataOptions
from nmtool.errors import ModelError, UsageError
from nmtool.verbs.run import run

BACKENDS = ["onnxruntime", "reference"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_run_at_once_with_the_given_trial(noisy_model, samples, backend):
    outputs = run(noisy_model(), samples["x"], trial=7, scale=0.3, backend=backend)
    assert set(outputs) == {"y", "top"}
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in noisy_model().graph.initializer}
    noise = np.sin(arrays["phase"] * np.float32(8)) * np.float32(0.3 * 0.5)
    np.testing.assert_allclose(outputs["y"], samples["x"] @ (arrays["W"] + noise), rtol=1e-4, atol=1e-5)


def test_noise_per_run_gives_batch_b_the_noise_of_trial_plus_b(noisy_model, samples):
    model, x = noisy_model(drawn="run"), samples["x"]
    batched = run(model, x, trial=3, batch_size=40)["y"]
    for index, start in enumerate((0, 40, 80)):
        alone = run(model, x[start : start + 40], trial=3 + index)["y"]
        np.testing.assert_array_equal(batched[start : start + 40], alone)


def test_noise_per_chip_is_the_same_in_every_batch(noisy_model, samples):
    model = noisy_model(drawn="chip")
    whole = run(model, samples["x"], trial=3)["y"]
    np.testing.assert_allclose(run(model, samples["x"], trial=3, batch_size=7)["y"], whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_a_fixed_batch_dimension_is_kept(noisy_model, samples, batch):
    free = run(noisy_model(drawn="chip"), samples, trial=1)
    fixed = run(noisy_model(batch, drawn="chip"), samples, trial=1)
    for name, expected in free.items():
        np.testing.assert_allclose(fixed[name], expected, rtol=1e-5, atol=1e-6)


def test_trials_are_modulo_2_to_the_32(noisy_model, samples):
    low, high = (run(noisy_model(), samples, trial=trial)["y"] for trial in (5, 5 + 2**32))
    np.testing.assert_array_equal(low, high)


def test_files_and_a_choice_of_outputs(model_file: Path, data_file: Path):
    outputs = run(model_file, data_file, scale=0.0, outputs=["top"], data_options=DataOptions(limit=5))
    assert {name: array.shape for name, array in outputs.items()} == {"top": (5, 1)}


def test_a_model_without_noise_takes_neither_trial_nor_scale():
    plain = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) {y = Neg(x)}'
    )
    x = np.ones(3, np.float32)
    np.testing.assert_array_equal(run(plain, x)["y"], -x)
    with pytest.raises(UsageError, match="no trial"):
        run(plain, x, trial=1)
    with pytest.raises(UsageError, match="no noise"):
        run(plain, x, scale=0.5)


def test_scalars_and_inputs_without_a_batch_are_fed_to_every_run():
    text = """<ir_version: 8, opset_import: ["": 17]>
    g (float[N, 2] x, float[2] offset, float factor) => (float[N, 2] y) { s = Add(x, offset)  y = Mul(s, factor) }"""
    feeds = {
        name: np.array(value, np.float32) for name, value in {"x": [[1, 1]] * 5, "offset": [1, 2], "factor": 3}.items()
    }
    for backend in BACKENDS:
        y = run(onnx.parser.parse_model(text), feeds, batch_size=2, backend=backend)["y"]
        np.testing.assert_array_equal(y, np.tile([[6.0, 9.0]], (5, 1)))


def test_outputs_that_do_not_join_are_an_error():
    text = """<ir_version: 8, opset_import: ["": 17]> g (float[N, 2] x) => (float[a, b] y) { y = Transpose(x) }"""
    with pytest.raises(ModelError, match="other dimensions"):
        run(onnx.parser.parse_model(text), np.ones((5, 2), np.float32), batch_size=3)


def test_unknown_names_are_errors(noisy_model, samples):
    with pytest.raises(UsageError, match="no output 'z'"):
        run(noisy_model(), samples, outputs=["z"])
    with pytest.raises(UsageError, match="no backend"):
        run(noisy_model(), samples, backend="abacus")
