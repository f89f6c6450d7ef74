"""What `nmtool sweep` adds to the inferences that it consists of, on ResNet-32 (CIFAR-10); and its memory.

    python benchmarks/sweep.py [--trials 12] [--images 512] [--batch 128] [--resnet32 model.onnx] [--json results.json]

Images per second, where every trial counts all images: of the clean model in a plain session, of the noisy one in a
bare loop over the same batches with a new trial for every pass, and of `nmtool.sweep` in one process and in two
(`--jobs 2`), from its first evaluation to its last, so without loading. Rounds alternate; the figures are medians.
Memory is the resident memory of this process along 1,000 trials of the digits model. Linux only.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from machine import machine

import nmtool
from nmtool.data import DataOptions

ROOT = Path(__file__).parents[1]
RESNET32 = ROOT.parent / "shared" / "models" / "resnet32-cifar10.onnx"
DIGITS = ROOT / "examples" / "digits" / "digits.onnx"
ETA = 0.05  # of the range of each array's weights


def samples(session: onnxruntime.InferenceSession, count: int) -> dict[str, Any]:
    """Random images and labels for a model."""
    generator, port = np.random.default_rng(0), session.get_inputs()[0]
    images = generator.standard_normal((count, *port.shape[1:])).astype(np.float32)
    return {port.name: images, "label": generator.integers(10, size=count)}


def loop(session: onnxruntime.InferenceSession, images: np.ndarray, batch: int, trials: int, noisy: bool) -> float:
    """Images per second of a bare loop."""
    name = session.get_inputs()[0].name
    start = time.perf_counter()
    for trial in range(trials):
        noise = {"noise_trial": np.array(trial), "noise_scale": np.array(ETA, np.float32)} if noisy else {}
        for first in range(0, len(images), batch):
            session.run(None, {name: images[first : first + batch], **noise})
    return trials * len(images) / (time.perf_counter() - start)


def sweep(model: Path, data: Path, images: int, batch: int, trials: int, jobs: int) -> float:
    """Images per second of a sweep between its first evaluation and its last."""
    times: list[float] = []
    nmtool.sweep(
        model,
        data,
        etas=[ETA],
        trials=trials,
        jobs=jobs,
        data_options=DataOptions(batch_size=batch),
        progress=lambda done, total: times.append(time.perf_counter()),
    )
    return (len(times) - jobs) * images / (times[-1] - times[jobs - 1])  # the first ones of the processes load


def speeds(arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Images per second of each way, printed and returned."""
    model, trials, batch = arguments.resnet32, arguments.trials, arguments.batch
    clean = nmtool.session(model)
    data, arrays = folder / "images.npz", samples(clean, arguments.images)
    np.savez(data, **arrays)
    images = next(iter(arrays.values()))
    noisy = nmtool.session(nmtool.inject(model, eta=1.0).model)
    ways: dict[str, Callable[[], float]] = {
        "clean, bare loop": lambda: loop(clean, images, batch, trials, noisy=False),
        "noisy, bare loop": lambda: loop(noisy, images, batch, trials, noisy=True),
        "sweep": lambda: sweep(model, data, len(images), batch, trials, jobs=1),
        "sweep --jobs 2": lambda: sweep(model, data, len(images), batch, trials, jobs=2),
    }
    rounds = [{way: run() for way, run in ways.items()} for _ in range(arguments.rounds)]
    print(f"{'images per second':20}{'median':>9}{'fastest':>9}{'time / clean':>14}{'time / noisy':>14}")
    for way in ways:
        ratios = [statistics.median(each[base] / each[way] for each in rounds) for base in list(ways)[:2]]
        values = [each[way] for each in rounds]
        print(f"{way:20}{statistics.median(values):9.0f}{max(values):9.0f}{ratios[0]:13.2f}x{ratios[1]:13.2f}x")
    return {way: statistics.median(each[way] for each in rounds) for way in ways}


def memory(folder: Path, trials: int) -> list[tuple[int, float]]:
    """Evaluations done, and the resident memory then, in MB."""
    data, found = folder / "digits.npz", []
    np.savez(data, **samples(nmtool.session(DIGITS), 64))

    def watch(done: int, total: int) -> None:
        if done in (10, total // 4, total // 2, total):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            found.append((done, pages * os.sysconf("SC_PAGE_SIZE") / 1e6))

    nmtool.sweep(DIGITS, data, etas=[ETA], trials=trials, results=folder / "results.jsonl", progress=watch)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--resnet32", type=Path, default=RESNET32)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    print(machine("onnxruntime"))
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="nmtool-") as name:
        folder = Path(name)
        if arguments.resnet32.is_file():
            results["images per second"] = speeds(arguments, folder)
        else:
            print(f"ResNet-32 left out: no file {arguments.resnet32} (name one with --resnet32)")
        results["memory, MB"] = memory(folder, 1000)
        print("memory: " + ", ".join(f"{size:.0f} MB after {done}" for done, size in results["memory, MB"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
