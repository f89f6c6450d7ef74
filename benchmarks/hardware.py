"""Two published behaviours on a network: accuracy over time on phase-change memory, and against the bits of the ADC.

1. Phase-change memory drifts, and a global factor mends most of what that costs (Joshi et al. 2020, Nature
   Communications 11:2473, Fig. 4 and 5): accuracy over a year, with and without drift compensation.
2. A converter whose range is that of all rows of its tile wastes bits on sums that never occur, so tall tiles need more
   of them (Rekhi et al. 2019, DAC, "Analog/mixed-signal hardware error modeling for deep learning inference"): accuracy
   against bits, for three heights of tiles, with a range of an eighth of the largest sum.

    python benchmarks/hardware.py MODEL.onnx DATA.npz --limit 1000 --trials 3 --out docs
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from machine import machine

import nmtool
from nmtool.data import DataOptions
from nmtool.hardware.hardware import Hardware
from nmtool.hardware.profile import load

TIMES = ("1s", "1h", "1d", "30d", "1y")
BITS = (4, 5, 6, 7, 8, 10)
ROWS = (64, 256, 1024)


def curve(arguments: argparse.Namespace, hardware: Hardware, over: str) -> list[dict[str, float]]:
    """Mean accuracy, and its 95 % interval, for each value."""
    result = nmtool.sweep(
        arguments.model,
        arguments.data,
        noise=hardware,
        over=over,
        trials=arguments.trials,
        data_options=DataOptions(
            scale=1 / 255, mean=arguments.mean, std=arguments.std, limit=arguments.limit, batch_size=100
        ),
    )
    return [vars(row.summary) for row in result.summary() if row.eta == 1]


def main() -> None:
    """Measure, and write hardware.json and two plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--mean", type=float, nargs="+", default=0.0, help="of images, after scaling to [0, 1]")
    parser.add_argument("--std", type=float, nargs="+", default=1.0)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path())
    arguments = parser.parse_args()
    print(machine("onnxruntime"))
    times = {
        label: curve(arguments, load("pcm", [f"weights.compensation={mode}"]), f"time={','.join(TIMES)}")
        for label, mode in (("global compensation", "array"), ("no compensation", "none"))
    }
    exact = ["weights.devices=[]"]
    bits = {
        f"tiles of {rows} rows": curve(
            arguments,
            load("generic-imc-8bit", [*exact, *tile(rows)]),
            f"periphery.output.bits={','.join(map(str, BITS))}",
        )
        for rows in ROWS
    }
    (arguments.out / "hardware.json").write_text(json.dumps({"time": times, "bits": bits}, indent=1))
    draw(arguments.out / "hardware-time.svg", "time since programming", TIMES, times)
    draw(arguments.out / "hardware-bits.svg", "bits of the output converter", BITS, bits)


def tile(rows: int) -> list[str]:
    """A tile of so many rows, and a converter for an eighth of its largest sum."""
    return [f"periphery.tile.rows={rows}", f"periphery.output.range={rows / 8}", "periphery.output.unit=cell"]


def draw(path: Path, label: str, ticks: Sequence[object], curves: dict[str, list[dict[str, float]]]) -> None:
    """Accuracy in percent with its 95 % interval."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "nmtool"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    for name, points in curves.items():
        means = [100 * point["mean"] for point in points]
        spread = [100 * ((point["high"] or point["mean"]) - point["mean"]) for point in points]
        axes.errorbar(range(len(ticks)), means, spread, marker="o", capsize=3, label=name)
        print(name, [round(mean, 1) for mean in means])
    axes.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
    axes.set_xlabel(label)
    axes.set_ylabel("top-1 accuracy (%)")
    axes.grid(color="0.9")
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
