"""What noise costs a whole model: the time of a run with fresh noise in every weight, as a ratio to the clean model.

    python benchmarks/models.py [--only NAME] [--pairs 15] [--threads 2] [--resnet32 model.onnx] [--json results.json]

Clean and noisy runs alternate in one process, so that a busy machine disturbs both; each figure is the median over the
pairs. Sessions use all of ONNX Runtime's optimizations. "weights" and "auto" are the samplings of a lowered session;
"portable" is the model as it is in the file, with the operator library, and "RandomNormalLike" without it: the plain
rewrite on ONNX Runtime's own random operator (the body that a model below opset 18 carries).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import networks
import numpy as np
import onnx
import onnxruntime
from machine import machine

import nmtool

RESNET32 = Path(__file__).parents[2] / "shared" / "models" / "resnet32-cifar10.onnx"
FORMS: dict[str, dict[str, Any]] = {
    "weights": {"sampling": "weights"},
    "auto": {"sampling": "auto"},
    "portable": {"lowering": False},
    "RandomNormalLike": {"library": False},
}


@dataclass(frozen=True)
class Case:
    """A model, and shapes to run it on: `batch` stands for the batch size."""

    name: str
    make: Callable[[], onnx.ModelProto]
    shape: Callable[[int], tuple[int, ...]]
    batches: tuple[int, ...]


def cases(resnet32: Path) -> Iterator[Case]:
    yield Case("ResNet-50 topology", networks.resnet50, lambda n: (n, 3, 224, 224), (1, 8, 32))
    if resnet32.is_file():
        yield Case("ResNet-32 CIFAR", partial(onnx.load, resnet32), lambda n: (n, 3, 32, 32), (32, 256))
    else:
        print(f"ResNet-32 left out: no file {resnet32} (name one with --resnet32)")
    widths = (768, 3072) * 4 + (768,)
    yield Case(
        "8 MatMuls 768-3072", partial(networks.linear, *widths), lambda n: (n, 768), (1, 4, 16, 64, 128, 256, 1024)
    )
    encoder = partial(networks.transformer, 12, 768, 12, 128)
    yield Case("transformer 12x768, 128", encoder, lambda n: (n, 128, 768), (1, 8))
    yield Case("LSTM 2x512, 50", partial(networks.lstm, 2, 512, 50), lambda n: (50, n, 512), (1, 8))
    yield Case("linear 1024", partial(networks.linear, 1024, 1024), lambda n: (n, 1024), (1, 32))


def measure(sessions: dict[str, onnxruntime.InferenceSession], x: np.ndarray, pairs: int) -> dict[str, float]:
    """The median ratio of each session to the clean one, and the milliseconds of that."""
    name = sessions["clean"].get_inputs()[0].name

    def run(which: str, trial: int) -> float:
        feeds = {name: x} if which == "clean" else {name: x, "noise_trial": np.array(trial)}
        start = time.perf_counter()
        sessions[which].run(None, feeds)
        return time.perf_counter() - start

    once = max(run("clean", 0), run("clean", 0))
    repeats = max(1, int(0.02 / once))  # short runs are timed in groups of about 20 ms
    rows = [
        {which: sum(run(which, pair * repeats + k) for k in range(repeats)) / repeats for which in sessions}
        for pair in range(pairs + 1)
    ][1:]  # the first one warms up
    result = {which: statistics.median(row[which] / row["clean"] for row in rows) for which in sessions}
    return result | {"clean_ms": 1e3 * statistics.median(row["clean"] for row in rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--forms", nargs="*", choices=FORMS, default=list(FORMS))
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resnet32", type=Path, default=RESNET32)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(f"{machine('onnxruntime')}; {arguments.threads} threads")
    print(f"{'model':<24} {'batch':>5} {'clean ms':>9}" + "".join(f"{form:>18}" for form in arguments.forms))
    results = []
    for case in cases(arguments.resnet32):
        if arguments.only not in case.name:
            continue
        clean = case.make()
        noisy = nmtool.inject(clean, eta=0.002).model
        threads = arguments.threads
        sessions = {"clean": nmtool.session(clean, threads=threads)}
        sessions |= {form: nmtool.session(noisy, threads=threads, **FORMS[form]) for form in arguments.forms}
        for batch in case.batches:
            x = np.random.default_rng(1).standard_normal(case.shape(batch)).astype(np.float32)
            row = measure(sessions, x, arguments.pairs)
            results.append({"model": case.name, "batch": batch, **row})
            ratios = "".join(f"{row[form]:>17.2f}x" for form in arguments.forms)
            print(f"{case.name:<24} {batch:>5} {row['clean_ms']:>9.2f}{ratios}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
