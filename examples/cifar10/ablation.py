"""What each part of a recipe is worth: one change at a time, trained alike, on images held out of the training data.

    python examples/cifar10/ablation.py resnet20.onnx --data cifar10 --out ablation

trains every row of rows.toml with the settings of ablation.toml, and prints its accuracy: `--row NAME` for some only.
Rows that are there already are not trained again. Teachers are looked for beside the model.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nmtool.verbs.sweep.statistics import summarize

HERE = Path(__file__).parent


def train(name: str, options: str, args: argparse.Namespace) -> None:
    """Train a row, unless its record is there."""
    record = args.out / f"{name}.json"
    if record.exists():
        return
    changes = options.format(models=args.model.parent).split()
    settings = ["--config", HERE / "ablation.toml", "--data", args.data / "train.npz", *changes]
    output = ["-o", args.out / f"{name}.onnx", "--record", record, "--resume"]
    command = [sys.executable, "-m", "nmtool", "distill", args.model, *settings, *output]
    with (args.out / f"{name}.log").open("w") as log:
        ended = subprocess.run(list(map(str, command)), stdout=log, stderr=log).returncode
    if ended:
        print(f"{name} ended with {ended}: see {log.name}", file=sys.stderr)


def table(rows: dict[str, str], folder: Path) -> None:
    """Accuracies of the rows that are trained, in percent, as Markdown."""
    print("| row | options | clean | under noise |\n|---|---|---|---|")
    for name, options in rows.items():
        path = folder / f"{name}.json"
        if path.exists():
            scores = json.loads(path.read_text())["after"]
            chips = summarize(scores["noisy"])
            noisy = f"{100 * chips.mean:.1f} ({100 * chips.low:.1f} to {100 * chips.high:.1f})"
            print(f"| {name} | `{options}` | {100 * scores['clean']:.1f} | {noisy} |")


def main() -> None:
    """Parse the arguments, and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for models and results")
    parser.add_argument("--row", nargs="+", help="only these")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = tomllib.loads((HERE / "rows.toml").read_text())
    chosen = {name: rows[name] for name in args.row or rows}
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda row: train(*row, args), chosen.items()))
    table(chosen, args.out)


if __name__ == "__main__":
    main()
