"""How much noise a network bears after each treatment: trains and measures every arm, and prints a table.

    python examples/cifar10/arms.py resnet20.onnx --config study.toml --data cifar10 --out r20 --eta 0.08

trains every arm for noise of strength 0.08 on cifar10/train.npz, and measures it on cifar10/test.npz. One row of the
table alone: `--arm robust`. Several strengths: `--eta 0.04 0.08`. What is there already is not made again, and a
training that was interrupted goes on: repeat the command. `--jobs 8 --device cuda --backend torch` runs eight trainings
at a time on one GPU; `--minutes 9` stops them all after that time, and each saves where it is.

An eta of the table is relative to the range of each array; times the last columns it is relative to max |W|, or to
the standard deviation of the weights.

The settings, the same for all arms, are in the configuration: tables [data], [distill] and [sweep] of `nmtool`.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from nmtool.verbs.sweep.plan import Point
from nmtool.verbs.sweep.result import SweepResult
from nmtool.verbs.sweep.store import Store

ARMS = ("none", "clip", "calibrate-bn", "noise", "distill", "robust")
DROPS = (0.01, 0.02, 0.05)


@dataclass(frozen=True)
class Row:
    """One network of the table.

    Attributes:
        arm: what was done to it.
        eta: strength of the noise that it was done for; None where that makes no difference.
    """

    arm: str
    eta: float | None

    @property
    def name(self) -> str:
        """Of its files."""
        return self.arm if self.eta is None else f"{self.arm}-{self.eta:g}"


def commands(row: Row, args: argparse.Namespace) -> list[list[str]]:
    """What makes and measures the network; commands whose result is there are left out."""
    made, folder = args.out / f"{row.name}.onnx", Path(args.data)
    train = ["--config", args.config, "--data", folder / "train.npz", "--eta", row.eta]
    device = ["--device", args.device]
    make = {
        "clip": ["clip", args.model, "-o", made],
        "calibrate-bn": ["calibrate-bn", args.model, *train, "-o", made],
    }.get(row.arm, ["distill", args.model, *train, "--recipe", row.arm, *device, "--resume", "-o", made])
    measure = ["sweep", made, "--config", args.config, "--data", folder / "test.npz", "--backend", args.backend]
    measure += [*(device if args.backend == "torch" else ()), "--results", args.out / f"{row.name}.jsonl"]
    steps = [measure] if made.exists() else [make, measure]
    return [[sys.executable, "-m", "nmtool", *map(str, step)] for step in steps]


def work(row: Row, args: argparse.Namespace, end: float) -> None:
    """Run the commands of a row, at most until `end`."""
    if row.arm == "none":
        shutil.copyfile(args.model, args.out / f"{row.name}.onnx")
    for command in commands(row, args):
        with (args.out / f"{row.name}.log").open("a") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                process.wait(max(end - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                process.terminate()  # a training saves and ends
                process.wait()
        if process.returncode:
            reason = (args.out / f"{row.name}.log").read_text().strip().splitlines()[-1]
            print(f"{row.name}: {command[3]} ended with {process.returncode}: {reason}", file=sys.stderr)
            return


def units(path: Path) -> tuple[float, float]:
    """What the range is in the two other normalisations: the largest |W|, and the standard deviation.

    Mean over the arrays with noise; these networks have no other weights of two or more axes.
    """
    arrays = [onnx.numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer if len(each.dims) > 1]
    ranges = [np.ptp(each) for each in arrays]
    largest = [spread / np.abs(each).max() for each, spread in zip(arrays, ranges, strict=True)]
    deviation = [spread / each.std() for each, spread in zip(arrays, ranges, strict=True)]
    return float(np.mean(largest)), float(np.mean(deviation))


def table(rows: Sequence[Row], folder: Path) -> None:
    """Accuracy and tolerance of the rows that are measured, in percent, as Markdown; drops are from the first row."""
    heads = ("network", "clean", "under noise", *(f"eta*({100 * drop:g})" for drop in DROPS), "of max", "of deviation")
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    clean: float | None = None
    for row in rows:
        path = folder / f"{row.name}.jsonl"
        if not path.exists():
            continue
        with Store(path) as store:
            records = list(store.records.values())
        levels = {record.point.eta for record in records} - {0.0}
        measured = Counter(record.point.trial for record in records if record.point.eta > 0)
        whole = [each for each in records if not each.point.eta or measured[each.point.trial] == len(levels)]
        result = SweepResult("top1", True, sorted(whole, key=lambda each: each.point.eta))
        clean = store.records[Point(row.name, 0.0, 0)].value if clean is None else clean
        figures = {each.eta: each.summary for each in result.summary()}
        noisy = [
            f"{eta:g}: {100 * each.mean:.1f} ({100 * each.low:.1f} to {100 * each.high:.1f})"
            for eta, each in figures.items()
            if each.low is not None and each.high is not None
        ]
        found = [result.tolerance(drop, clean)[row.name] for drop in DROPS]
        cells = [f"{each.eta:.3f} ({each.low:.3f} to {each.high:.3f})" for each in found]
        cells += [f"{factor:.2f}" for factor in units(folder / f"{row.name}.onnx")]
        print(f"| {row.name} | {100 * figures[0.0].mean:.2f} | {'; '.join(noisy)} | {' | '.join(cells)} |")


def main() -> None:
    """Parse the arguments, and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.npz and test.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for models and results")
    parser.add_argument("--eta", type=float, nargs="+", default=[0.08])
    parser.add_argument("--arm", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--backend", default="onnxruntime", help="what measures: torch on a GPU")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = [Row(arm, None) for arm in args.arm if arm in ("none", "clip")]
    rows += [Row(arm, eta) for eta in args.eta for arm in args.arm if arm not in ("none", "clip")]
    end = time.monotonic() + 60 * args.minutes
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda row: work(row, args, end), rows))
    table(rows, args.out)


if __name__ == "__main__":
    main()
