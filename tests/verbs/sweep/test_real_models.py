"""Trained models on real data: accuracies that were measured elsewhere, where the files are at hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nmtool.data import DataOptions
from nmtool.verbs.sweep import sweep

SHARED = Path(__file__).parents[4] / "shared"


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no such file: {path}")
    return path


@pytest.mark.parametrize(
    ("model", "scale", "accuracy"),
    [
        ("mnist-cntk.onnx", 1.0, 0.9891),  # fixed batch of one, [1, 1, 28, 28]
        ("mnist-tf2onnx.onnx", 1 / 255, 0.9867),  # channels last, [N, 28, 28, 1]
    ],
)
def test_clean_accuracy_on_mnist_is_the_published_one(model, scale, accuracy):
    with np.load(shared("data/mnist.npz")) as mnist:
        data = mnist["test_images"], mnist["test_labels"]
    result = sweep(shared(f"models/{model}"), data, etas=[0.0], trials=1, data_options=DataOptions(scale=scale))
    assert [round(record.value, 6) for record in result.points] == [accuracy]


def test_noise_costs_a_cifar_resnet_what_the_prototype_measured():
    """200 images, 2 draws: within four standard errors of 0.9263 clean and 0.879 at 0.02, far below at 0.06."""
    with Image.open(shared("data/cifar10/test-00.webp")) as sheet:
        images = np.asarray(sheet).reshape(50, 32, 50, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3)
    with np.load(shared("data/cifar10/labels.npz")) as file:
        labels = file["test"][: len(images)]
    options = DataOptions(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), limit=200)
    model = shared("models/resnet32-cifar10.onnx")
    result = sweep(model, (images, labels), etas=[0.02, 0.06], trials=2, data_options=options)
    clean, mild, strong = (row.summary.mean for row in result.summary())
    assert clean == pytest.approx(0.9263, abs=4 * 0.0185)
    assert mild == pytest.approx(0.879, abs=4 * 0.0231)
    assert strong < 0.7
