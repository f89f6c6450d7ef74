"""Metric against noise level, all models in one plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmtool.atomic import written_whole
from nmtool.errors import SetupError, UsageError
from nmtool.metrics import is_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nmtool.verbs.sweep.result import SweepResult

_STYLE: dict[str, Any] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": "cycler(color=['0072B2', 'D55E00', '009E73', 'CC79A7', 'E69F00', '56B4E9', '000000'])",
    "font.size": 10,
    "grid.color": "0.9",
    "legend.frameon": False,
    "svg.hashsalt": "nmtool",  # element ids are otherwise random: equal results give equal files
}
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
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SetupError("plots need matplotlib", hint="pip install 'nmtool[report]'") from error
    known = FigureCanvasAgg.get_supported_filetypes()
    for path in paths:
        if path.suffix.removeprefix(".") not in known:
            raise UsageError(f"no plot can be written as {path.name}", hint="end the name in .svg, .png or .pdf")
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # the stubs want each key as a literal
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        (_draw_over if result.variants else _draw)(axes, result)
        for path in paths:
            date = {"Date": None} if path.suffix == ".svg" else {}
            with written_whole(path) as staged:
                figure.savefig(staged, dpi=200, metadata=date)


def _draw_over(axes: "Axes", result: "SweepResult") -> None:
    """The metric on the hardware, as strong as it is, for each of its values."""
    factor = _factor(result)
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


def _factor(result: "SweepResult") -> float:
    """100 where the metric is shown in percent."""
    return 100.0 if is_share(result.metric) else 1.0


def _finish(axes: "Axes", result: "SweepResult", trials: int) -> None:
    """What both kinds of plots say about themselves."""
    axes.set_ylabel(f"{result.metric} (%)" if _factor(result) > 1 else result.metric)
    samples = result.points[0].setting.samples
    axes.set_title(f"mean and its 95 % interval over {trials} trials, {samples} samples", fontsize=9, color="0.3")
    axes.legend()


def _draw(axes: "Axes", result: "SweepResult") -> None:
    factor = _factor(result)
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
