"""LeNet-5 for MNIST: trains the network in torch (a minute on two cores), and writes it with the data for nmtool.

Usage: `python examples/mnist/make_model.py mnist.npz folder` writes lenet5.onnx, train.npz and test.npz to the folder.
`mnist.npz` has train_images and test_images, uint8 [N, 28, 28], and train_labels and test_labels.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

EPOCHS, BATCH, RATE = 6, 128, 0.05


def network() -> nn.Sequential:
    """The layers of LeCun et al. 1998 with ReLU and maximum pooling, as they are used today."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Plain stochastic gradient descent without noise."""
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, weight_decay=5e-4)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(images))
        for batch in order[: len(order) // BATCH * BATCH].split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()


if __name__ == "__main__":
    arrays, folder = np.load(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        part: ((arrays[f"{part}_images"][:, None] / 255).astype(np.float32), arrays[f"{part}_labels"].astype(np.int64))
        for part in ("train", "test")
    }
    for part, (images, labels) in parts.items():
        np.savez(folder / f"{part}.npz", image=images, label=labels)
    torch.manual_seed(0)
    model = network()
    train(model, *map(torch.from_numpy, parts["train"]))
    model.eval()
    images, labels = parts["test"]
    with torch.no_grad():
        right = (model(torch.from_numpy(images)).argmax(1).numpy() == labels).mean()
    torch.onnx.export(
        model,
        (torch.from_numpy(images[:1]),),
        folder / "lenet5.onnx",
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=18,
        dynamo=False,
    )
    print(f"{right:.2%} of the test images")
