"""A step of `distill` on either engine: gradient under noise and update, without data, teacher and validation.

    python benchmarks/engines.py [--pairs 9] [--batch 128] [--threads 2]

Needs `nmtool engine install ort-training`. Steps alternate; each figure is the median over the pairs.
"""

import argparse
import io
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from machine import machine
from torch import nn
from training import resnet32

from nmtool.engines import installation
from nmtool.hardware import at_strength_one
from nmtool.model import load
from nmtool.recipes import Recipe
from nmtool.training.batches import MicroBatch
from nmtool.training.learner import Draw, Learner, TorchLearner
from nmtool.training.objective import resolve
from nmtool.training.ort_engine.start import start
from nmtool.training.process import Process
from nmtool.training.student import Placement, Student

DIGITS = Path(__file__).parents[1] / "examples/digits/digits.onnx"
SHAPES = {"digits": (1, 8, 8), "mlp": (784,), "resnet32": (3, 32, 32)}


def network(name: str) -> onnx.ModelProto:
    """The digits CNN, three layers of 512 (MNIST's size), or ResNet-32 with its normalization folded."""
    if name == "digits":
        return onnx.load(DIGITS)
    mlp = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    file, module = io.BytesIO(), (mlp if name == "mlp" else resnet32()).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter says that it is the old one
        torch.onnx.export(
            module,
            (torch.zeros(1, *SHAPES[name]),),
            file,
            dynamo=False,
            input_names=["image"],
            dynamic_axes={"image": [0]},
        )
    return onnx.load_from_string(file.getvalue())


def learners(name: str, threads: int) -> tuple[dict[str, Learner], str]:
    """One of each engine, for students of their own, and the value that the loss is on."""
    noise, recipe = at_strength_one("gaussian", None), Recipe(optimizer="adamw", lr=1e-3)
    proto, alone = network(name), Process(0, 1, torch.device("cpu"))
    students = [Student(load(proto), noise, Placement(), 0).train() for _ in range(2)]
    objective = resolve(load(proto), [], recipe)
    (value,) = objective.values
    engines: dict[str, Learner] = {
        "torch": TorchLearner(students[0], objective.loss, {value: 0}, recipe, alone, seed=0),
        "ort": start(load(proto), students[1], noise, Placement(), objective, recipe, seed=0, threads=threads),
    }
    return engines, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    versions = installation("ort-training").versions
    print(f"{machine('torch')}, onnxruntime-training {versions['onnxruntime-training']}, {arguments.threads} threads")
    print(f"{'':<10} {'torch ms':>9} {'ort ms':>9} {'ort / torch':>12}")
    for name, shape in SHAPES.items():
        images = torch.randn(arguments.batch, *shape)
        batch = MicroBatch(np.arange(arguments.batch), {"image": images}, None)
        engines, value = learners(name, arguments.threads)
        targets = {value: torch.randn(arguments.batch, 10)}
        times: dict[str, list[float]] = {engine: [] for engine in engines}
        for pair in range(arguments.pairs + 1):
            for engine, learner in engines.items():
                begin = time.perf_counter()
                learner.backward(batch, targets, Draw(pair, pair, False, 0.05), 1.0, last=True)
                learner.update(1e-4)
                if pair:  # the first one warms up
                    times[engine].append(time.perf_counter() - begin)
        ratio = statistics.median(b / a for a, b in zip(times["torch"], times["ort"], strict=True))
        figures = [f"{1e3 * statistics.median(each):>9.1f}" for each in times.values()]
        print(f"{name:<10} {' '.join(figures)} {ratio:>11.1f}x", flush=True)


if __name__ == "__main__":
    main()
