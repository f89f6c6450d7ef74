"""Metric against noise level, all models in one plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmtool.verbs.figures import figure, percents, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nmtool.verbs.sweep.result import SweepResult

_UNITS = {
    "range": "multiples of max W - min W",
    "max": "multiples of max |W|",
    "std": "multiples of the standard deviation of W",
}


def plot(result: "SweepResult", paths: Sequence[Path]) -> None:
    """Draw the mean of every model with its 95 % interval as a band, and save it at every path.

    Raises:
        SetupError: matplotlib is not installed.
        UsageError: a path has a suffix matplotlib does not know.
    """
    with figure(paths) as drawn:
        (_draw_over if result.variants else _draw)(drawn.add_subplot(), result)


def _draw_over(axes: "Axes", result: "SweepResult") -> None:
    """The metric on the hardware, as strong as it is, for each of its values."""
    factor = percents(result.metric)
    strongest = max(record.point.eta for record in result.points)
    rows = {row.model: row.summary for row in result.summary() if row.eta == strongest}
    positions = range(len(result.variants))
    for model in dict.fromkeys(
        label.removesuffix(f" {v}") for label in rows for v in result.variants if label.endswith(v)
    ):
        curve = [rows[f"{model} {variant}"] for variant in result.variants]
        ends = [(each.mean - (each.low or each.mean), (each.high or each.mean) - each.mean) for each in curve]
        errors = [[factor * end for end in side] for side in zip(*ends, strict=True)]
        axes.errorbar(positions, [factor * each.mean for each in curve], errors, marker="o", capsize=3, label=model)
    axes.set_xticks(list(positions), [variant.partition("=")[2] for variant in result.variants])
    axes.set_xlabel(result.variants[0].partition("=")[0])
    _finish(axes, result, max(each.trials for each in rows.values()))


def _finish(axes: "Axes", result: "SweepResult", trials: int) -> None:
    """What both kinds of plots say about themselves."""
    axes.set_ylabel(unit_of(result.metric))
    samples = result.points[0].setting.samples
    axes.set_title(f"mean and its 95 % interval over {trials} trials, {samples} samples", fontsize=9, color="0.3")
    axes.legend()


def _draw(axes: "Axes", result: "SweepResult") -> None:
    factor = percents(result.metric)
    rows = result.summary()
    for model in result.models:
        curve = [row for row in rows if row.model == model]
        etas = [row.eta for row in curve]
        (line,) = axes.plot(etas, [row.summary.mean * factor for row in curve], marker="o", markersize=3.5, label=model)
        summaries = [row.summary for row in curve]
        axes.fill_between(
            etas,
            [factor * (each.mean if each.low is None else each.low) for each in summaries],
            [factor * (each.mean if each.high is None else each.high) for each in summaries],
            color=line.get_color(),
            alpha=0.2,
            linewidth=0,
        )
    axes.set_xlabel(noise_label([record.setting.noise for record in result.points]))
    axes.set_xlim(left=0)
    _finish(axes, result, max(row.summary.trials for row in rows))


def noise_label(noises: Sequence[Mapping[str, Any]]) -> str:
    """The axis title: noise model and unit where all models share them."""
    names = {str(noise.get("model")) for noise in noises}
    units = {_UNITS.get(str(noise.get("relative_to"))) for noise in noises}
    name = f"{names.pop()} noise" if len(names) == 1 else "noise"
    unit = units.pop() if len(units) == 1 else None
    return f"{name} η ({unit})" if unit else f"{name} η"
