"""Up to how many rows it is cheaper to sample a product's outputs than its weights.

    python benchmarks/crossover.py [--repeats 9] [--threads 2]

The figures of passes/lowering/crossover.py are fitted to this table: for products of several sizes, the time with
sampled outputs relative to that with sampled weights (median of pairs), for a growing number of rows.
"""

import argparse
import statistics
import time

import networks
import numpy as np
from machine import machine

import nmtool
from nmtool.passes.lowering.crossover import rows_where_outputs_are_cheaper

SIZES = [(256, 256), (768, 768), (768, 3072), (3072, 768), (2048, 2048)]
ROWS = [1, 16, 64, 96, 128, 160, 192]
LAYERS = 8  # of equal products, so that weights come from memory as in a real model


def measure(inputs: int, channels: int, rows: int, repeats: int, threads: int) -> float:
    """Time with sampled outputs in times of that with sampled weights."""
    widths = [inputs, channels] * (LAYERS // 2) + [inputs]
    noisy = nmtool.inject(networks.linear(*widths), eta=0.002).model
    sessions = {form: nmtool.session(noisy, threads=threads, sampling=form) for form in ("outputs", "weights")}
    x = np.random.default_rng(1).standard_normal((rows, inputs)).astype(np.float32)
    ratios = []
    for repeat in range(repeats + 1):
        seconds = {}
        for form, session in sessions.items():
            start = time.perf_counter()
            session.run(None, {"x": x, "noise_trial": np.array(repeat)})
            seconds[form] = time.perf_counter() - start
        ratios.append(seconds["outputs"] / seconds["weights"])
    return statistics.median(ratios[1:])  # the first one warms up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    print(f"{machine('onnxruntime')}; {arguments.threads} threads")
    print("inputs x channels" + "".join(f"{rows:>7}" for rows in ROWS) + "  rows where outputs are taken")
    for inputs, channels in SIZES:
        ratios = [measure(inputs, channels, rows, arguments.repeats, arguments.threads) for rows in ROWS]
        limit = rows_where_outputs_are_cheaper(inputs, channels, fused=True)
        print(
            f"{inputs:>8} x {channels:<6}" + "".join(f"{ratio:>7.2f}" for ratio in ratios) + f"  up to {limit}",
            flush=True,
        )


if __name__ == "__main__":
    main()
