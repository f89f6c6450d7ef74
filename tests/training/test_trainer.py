"""Parts of the training loop that no result of a whole training shows by itself."""

import numpy as np
import onnx
import pytest
from normed import NORMALIZED

import nmtool
from build import weights
from nmtool.model import load
from nmtool.noise import noise_model

torch = pytest.importorskip("torch")
from nmtool.training.batchnorm import recalibrate
from nmtool.training.clipping import WeightLimits
from nmtool.training.seeds import Purpose, derived, generator
from nmtool.training.student import Placement, Student


def test_frozen_statistics_are_those_under_noise_of_the_clipped_weights(tmp_path):
    """If they were not frozen, the batches of two epochs would move them."""
    x = weights(120, 3, 6, 6)
    settings = {"epochs": 2, "batch_size": 20, "batchnorm_freeze": 0.0, "lr": 1e-12, "clip": 1.0}
    nmtool.distill(NORMALIZED, {"x": x}, tmp_path / "out.onnx", eta=0.05, validation=0.0, settings=settings)
    written = {
        each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(tmp_path / "out.onnx").graph.initializer
    }
    student = Student(load(NORMALIZED), noise_model("gaussian", {"eta": 1.0}), Placement(), 0)
    student.reseed(derived(0, Purpose.TRAINING_NOISE))
    WeightLimits(student, "array").apply(1.0)
    order = generator(0, Purpose.ORDER, 0).permutation(120)
    recalibrate(student, [(torch.tensor(x[part]),) for part in order.reshape(6, 20)], range(6), 0.05)
    for name in "mv":
        expected = student.graph.get_buffer(student.names[name]).numpy()
        np.testing.assert_allclose(written[name], expected, rtol=1e-5, atol=1e-6)
