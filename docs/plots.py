"""Draw the figures of docs/noise.md and docs/devices.md with nmtool's own models: `python docs/plots.py`."""

from pathlib import Path

import matplotlib
import numpy as np
import onnx
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nmtool.noise import DEVICES, Gaussian, Lognormal, Stuck
from nmtool.noise.cell import Cell
from nmtool.noise.device import Device
from nmtool.noise.numpy_chip import NumpyChip
from nmtool.noise.reference import Source, gaussian_noise, lognormal_noise, stuck_faults

DOCS = Path(__file__).parent
DIGITS = DOCS.parent / "examples/digits/digits.onnx"
DAY, YEAR = 86400.0, 3.156e7
TEAL, ORANGE, GREY = "#0f766e", "#ea580c", "#94a3b8"
STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.25,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "nmtool",  # the same file every time
}


def main() -> None:
    """Write the figures."""
    matplotlib.use("Agg")
    pyplot.rcParams.update(STYLE)
    figures = {"noise-models": models(), "noise-units": units(), "devices": devices(), "devices-drift": drift()}
    for name, figure in figures.items():
        figure.savefig(DOCS / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")


def models() -> Figure:
    """What each noise model makes of 120 weights."""
    figure, panels = pyplot.subplots(1, 3, figsize=(9, 3), sharex=True, sharey=True, layout="constrained")
    weights, source = np.linspace(-1, 1, 120, dtype=np.float32), Source(seed=1, stream=2)
    noisy = {
        f"{Gaussian.name}, eta 0.05": gaussian_noise(weights, 0.05 * 2, source),
        f"{Lognormal.name}, eta 0.2": lognormal_noise(weights, 0.0, 0.2, source),
        f"{Stuck.name}, eta 0.1, high 0.5": stuck_faults(weights, (0.05, 0.025, 0.025), (0, 1, -1), source),
    }
    for axes, (title, values) in zip(panels, noisy.items(), strict=True):
        axes.plot(weights, weights, color=GREY, linewidth=1)
        axes.plot(weights, values, ".", color=TEAL, markersize=3)
        axes.set(title=title, xlabel="weight / max |W|")
    panels[0].set_ylabel("on the chip")
    return figure


def units() -> Figure:
    """The weights of a layer, and how large eta 0.05 is in each of the three units."""
    arrays = {array.name: onnx.numpy_helper.to_array(array) for array in onnx.load(DIGITS).graph.initializer}
    weights = arrays["dense1.weight"].ravel()
    sizes = {
        "range": weights.max() - weights.min(),
        "max": np.abs(weights).max(),
        "std": weights.std(),
    }
    figure, axes = pyplot.subplots(figsize=(8, 2.8), layout="constrained")
    counts, edges = np.histogram(weights, bins=80)
    axes.stairs(counts, edges, fill=True, color=TEAL, alpha=0.35)
    for row, (unit, size) in enumerate(sizes.items(), start=1):
        height, sigma = -0.16 * row * counts.max(), 0.05 * size
        axes.plot([-sigma, sigma], [height, height], color=ORANGE, linewidth=5, solid_capstyle="butt")
        axes.text(0.12, height, f"--relative-to {unit}: sigma {sigma:.3f}", va="center")
    axes.set(xlabel="weights of dense1, and plus and minus one sigma at eta 0.05", yticks=[], xlim=(-0.55, 0.55))
    axes.spines.left.set_visible(False)
    return figure


def devices() -> Figure:
    """How far weights are off, for each device: where nine of ten chips are, at once and, if it drifts, after a day."""
    figure, panels = pyplot.subplots(3, 5, figsize=(11, 6.6), sharex=True, layout="constrained")
    for axes in panels.flat[len(DEVICES) :]:
        axes.set_axis_off()
    wanted = np.linspace(0, 1, 41, dtype=np.float32)
    for axes, (name, device) in zip(panels.flat, DEVICES.items(), strict=False):
        _band(axes, wanted, _read(device(), wanted, 0.0) - wanted, TEAL, "programmed")
        if device.drift is not Device.drift:
            _band(axes, wanted, _read(device(), wanted, DAY) - wanted, ORANGE, "a day later")
        axes.set(title=name)
    figure.supxlabel("wanted weight / max |W|")
    figure.supylabel("deviation of the weight as read")
    drifting = panels.flat[list(DEVICES).index("pcm")]
    figure.legend(*drifting.get_legend_handles_labels(), loc="lower right", frameon=False)
    return figure


def drift() -> Figure:
    """What becomes of half the largest weight over a year, without compensation."""
    figure, axes = pyplot.subplots(figsize=(8, 3.4), layout="constrained")
    wanted = np.array([-1.0, 0.5], np.float32)  # the largest weight of an array is its scale
    times = np.geomspace(1, YEAR, 25)
    for name in ("pcm", "hermes", "reram-wan", "reram-cmo"):
        read = np.stack([_read(DEVICES[name](), wanted, time)[:, 1] for time in times], axis=1)
        (line,) = axes.plot(times, read.mean(axis=0), label=name)
        _band(axes, times, read, line.get_color())
    axes.set(xscale="log", xlabel="time since programming", ylabel="weight as read", ylim=(0, 0.8))
    axes.set_xticks([1, 60, 3600, DAY, 30 * DAY, YEAR], ["1 s", "1 min", "1 h", "1 day", "30 days", "1 year"])
    axes.minorticks_off()
    axes.legend(frameon=False, ncols=4, loc="lower left")
    return figure


def _read(device: Device, wanted: NDArray[np.float32], time: float, chips: int = 4000) -> NDArray[np.float32]:
    """The weights of many chips [chips, weights], each read once."""
    weights = np.tile(wanted, (chips, 1))
    return np.asarray(Cell((device,)).perturb(weights, NumpyChip(1, 2, time=time)))


def _band(axes: Axes, x: NDArray, samples: NDArray, color: str, label: str | None = None) -> None:
    low, high = np.quantile(samples, (0.05, 0.95), axis=0)
    axes.fill_between(x, low, high, color=color, alpha=0.3, linewidth=0.8, label=label)


if __name__ == "__main__":
    main()
