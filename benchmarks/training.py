"""What the conversion and the noise cost a training step of ResNet-32 (CIFAR-10), as ratios to torch's own module.

    python benchmarks/training.py [--pairs 9] [--batch 128] [--json results.json]

A step is forward, cross-entropy, backward and SGD with momentum. `converted` is the module exported to ONNX and
converted back, `noisy` the same with fresh Gaussian noise in every weight. Steps alternate in one process; each figure
is the median over the pairs. Memory is the peak of a process of its own, above what it needs before the first step.
"""

import argparse
import io
import json
import multiprocessing
import resource
import statistics
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import onnx
import torch
from machine import machine
from torch import Tensor, nn

import nmtool
from nmtool.hardware import at_strength_one
from nmtool.model import load
from nmtool.training.student import Placement, Student

VARIANTS = ("torch", "converted", "noisy")


class Block(nn.Module):
    """Two convolutions and a shortcut without weights (He et al. 2016, arXiv:1512.03385, option A)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.stride = after // before
        self.conv1 = nn.Conv2d(before, after, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, x.shape[1] // 2, x.shape[1] // 2))
        return torch.relu(out + x)


def resnet32() -> nn.Module:
    """Three stages of five blocks, 16 to 64 channels."""
    widths = [16, *[16] * 5, *[32] * 5, *[64] * 5]
    blocks = [Block(before, after) for before, after in pairwise(widths)]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def exported(module: nn.Module) -> onnx.ModelProto:
    """The module in ONNX, with its batch normalization."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter says that it is the old one
        torch.onnx.export(
            module,
            (torch.zeros(1, 3, 32, 32),),
            file,
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            dynamic_axes={"input": [0]},
            input_names=["input"],
        )
    return onnx.load_from_string(file.getvalue())


def step(variant: str, batch: int) -> Callable[[], None]:
    """A training step of a variant."""
    torch.manual_seed(0)
    native = resnet32()
    if variant == "torch":
        module: nn.Module = native
    elif variant == "converted":
        module = nmtool.to_torch(exported(native))
    else:
        module = Student(load(exported(native)), at_strength_one("gaussian", None), Placement(), seed=0)
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
    images, labels = torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,))
    trial = 0

    def run() -> None:
        nonlocal trial
        trial += 1
        optimizer.zero_grad()
        if isinstance(module, Student):
            (logits,) = module(images, torch.tensor(trial), torch.tensor(0.05))
        else:
            logits = module(images)
        nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()

    return run


def memory(variant: str, batch: int) -> float:
    """Peak memory of three steps in MB, above that of the ready process."""
    run = step(variant, batch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def seconds(batch: int, pairs: int) -> dict[str, list[float]]:
    """Seconds of a step of each variant, in turn."""
    steps = {variant: step(variant, batch) for variant in VARIANTS}
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for pair in range(pairs + 1):
        for variant, run in steps.items():
            start = time.perf_counter()
            run()
            if pair:  # the first one warms up
                times[variant].append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(f"{machine('torch')}, {torch.get_num_threads()} threads, batch {arguments.batch}")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        peaks = pool.starmap(memory, [(variant, arguments.batch) for variant in VARIANTS], chunksize=1)
    times = seconds(arguments.batch, arguments.pairs)
    print(f"{'':<10} {'ms':>7} {'time':>7} {'MB':>7} {'memory':>7}")
    results = []
    for variant, peak in zip(VARIANTS, peaks, strict=True):
        ratio = statistics.median(a / b for a, b in zip(times[variant], times["torch"], strict=True))
        row = {"time": ratio, "memory": peak / peaks[0]}
        milliseconds = 1e3 * statistics.median(times[variant])
        results.append({"variant": variant, "ms": milliseconds, "megabytes": peak, **row})
        print(f"{variant:<10} {milliseconds:>7.0f} {row['time']:>6.2f}x {peak:>7.0f} {row['memory']:>6.2f}x")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
