"""The parts of an analysis as plots."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmtool.verbs.analyze.information import Bits, Curve
from nmtool.verbs.analyze.probe import SAMPLES
from nmtool.verbs.figures import figure, percents, unit_of
from nmtool.verbs.sweep.statistics import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nmtool.verbs.analyze.result import Analysis

Reading = Callable[[Bits], float | None]
"""What of a point is drawn."""

_NAN = float("nan")  # leaves a gap in a line
_BARS = 40  # layers in a plot of bars
_INCHES = 0.22  # for each of them


def plots(analysis: "Analysis") -> Mapping[str, Callable[[Path], None]]:
    """The plots that the analysis has parts for, by file name."""
    parts = {
        "sensitivity.svg": (analysis.sensitivity, draw_sensitivity),
        "snr.svg": (analysis.snr, draw_snr),
        "information.svg": (analysis.information, draw_information),
        "precision.svg": (analysis.precision, draw_precision),
    }
    return {name: _bound(draw, analysis) for name, (part, draw) in parts.items() if part}


def draw_sensitivity(analysis: "Analysis", path: Path) -> None:
    """The metric with noise in one layer only, and in all but one, the most sensitive layer on top."""
    assert analysis.sensitivity is not None
    rows = [row for row in analysis.sensitivity.layers if row.only is not None][:_BARS]
    factor = percents(analysis.settings.metric)
    with figure([path], (6.4, 1.6 + _INCHES * len(rows))) as drawn:
        axes = drawn.add_subplot()
        heights = range(len(rows), 0, -1)
        for offset, name, cases in (
            (0.15, "noise in this layer only", [row.only for row in rows]),
            (-0.15, "noise in all others", [row.all_but for row in rows]),
        ):
            means, errors = _with_errors([case for case in cases if case is not None], factor)
            axes.errorbar(
                means, [h + offset for h in heights], xerr=errors, fmt="o", markersize=4, capsize=2, label=name
            )
        axes.axvline(factor * analysis.settings.clean, color="0.3", linewidth=1, linestyle="--", label="no noise")
        if analysis.settings.noisy is not None:
            mean = factor * analysis.settings.noisy.mean
            axes.axvline(mean, color="0.3", linewidth=1, linestyle=":", label="noise in all layers")
        axes.set_yticks(list(heights), [row.layer.node for row in rows], fontsize=8)
        axes.set_xlabel(unit_of(analysis.settings.metric))
        axes.set_title(_title(analysis, "mean and its 95 % interval"), fontsize=9, color="0.3")
        drawn.legend(loc="outside lower center", ncols=2, fontsize=8)


def draw_snr(analysis: "Analysis", path: Path) -> None:
    """Signal-to-noise ratios in graph order."""
    rows = analysis.snr or ()
    with figure([path], (6.4, 4.4)) as drawn:
        axes = drawn.add_subplot()
        positions = range(1, len(rows) + 1)
        for name, values in (
            ("noise in all layers", [row.propagated_db for row in rows]),
            ("noise in this layer only", [row.injected_db for row in rows]),
        ):
            axes.plot(positions, [_NAN if x is None else x for x in values], marker="o", markersize=3.5, label=name)
        if len(rows) <= _BARS:
            axes.set_xticks(list(positions), [row.node for row in rows], rotation=90, fontsize=7)
        else:
            axes.set_xlabel("layers in graph order")
        axes.set_ylabel("signal-to-noise ratio (dB)")
        bits = axes.secondary_yaxis("right", functions=(_to_bits, _to_decibels))
        bits.set_ylabel("effective bits")
        axes.set_title(_title(analysis, "at the layers' outputs", SAMPLES), fontsize=9, color="0.3")
        axes.legend()


def draw_information(analysis: "Analysis", path: Path) -> None:
    """Information against the strength of the noise: about the input, and about the label."""
    information = analysis.information
    assert information is not None
    known = information.labels.entropy is not None
    with figure([path], (8.6 if known else 5.2, 4.0)) as drawn:
        views = drawn.subplots(1, 2 if known else 1, sharey=True, squeeze=False)[0]
        _draw_curves(views[0], information.curves, "input", lambda p: p.read, lambda p: p.chip)
        if known:
            label, given = (lambda p: p.label), (lambda p: p.label_chip)
            _draw_curves(views[1], information.curves, "label", label, given)
            views[1].axhline(information.labels.entropy, color="0.3", linewidth=1, linestyle=":")
        views[0].set_ylabel("bits")
        views[0].legend()


def draw_precision(analysis: "Analysis", path: Path) -> None:
    """The metric against the analog share, step by step."""
    advice = analysis.precision
    assert advice is not None
    factor = percents(advice.gate.metric)
    by_macs = advice.cost == "macs" and all(step.mac_share is not None for step in advice.steps)
    shares = [100 * ((step.mac_share if by_macs else step.weight_share) or 0.0) for step in advice.steps]
    with figure([path]) as drawn:
        axes = drawn.add_subplot()
        means, errors = _with_errors([step.metric for step in advice.steps], factor)
        axes.errorbar(shares, means, yerr=errors, marker="o", markersize=4, capsize=3, label="search")
        axes.axhline(factor * advice.gate.bound, color="0.3", linewidth=1, linestyle="--", label=str(advice.gate))
        if advice.confirmation is not None:
            mean, error = _with_errors([advice.confirmation], factor)
            axes.errorbar(shares[-1:], mean, yerr=error, marker="s", capsize=3, linestyle="", label="confirmation")
        axes.set_xlabel(f"analog share of {'multiply-accumulates' if by_macs else 'weights'} (%)")
        axes.set_ylabel(unit_of(advice.gate.metric))
        axes.legend()


def _draw_curves(axes: "Axes", curves: Sequence[Curve], of: str, read: Reading, chip: Reading) -> None:
    for curve in curves:
        etas = [point.eta for point in curve.points]
        shown = [[_NAN if (x := value(point)) is None else x for point in curve.points] for value in (read, chip)]
        (line,) = axes.plot(etas, shown[0], marker="o", markersize=3.5, label=curve.name)
        axes.plot(etas, shown[1], linestyle="--", color=line.get_color())
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("noise η")
    axes.set_title(f"decision about the {of}: read noise (solid), chip noise (dashed)", fontsize=9, color="0.3")


def _to_bits(db: Any) -> Any:
    return (db - 1.76) / 6.02


def _to_decibels(bits: Any) -> Any:
    return 6.02 * bits + 1.76


def _with_errors(summaries: list[Summary], factor: float) -> tuple[list[float], list[list[float]]]:
    ends = [(each.mean - (each.low or each.mean), (each.high or each.mean) - each.mean) for each in summaries]
    return [factor * each.mean for each in summaries], [
        [factor * end for end in side] for side in zip(*ends, strict=True)
    ]


def _title(analysis: "Analysis", what: str, most: int | None = None) -> str:
    settings = analysis.settings
    samples = min(settings.samples, most or settings.samples)
    return f"{what}, η {settings.eta:g}, {settings.trials} trials, {samples} samples"


def _bound(draw: "Callable[[Analysis, Path], None]", analysis: "Analysis") -> Callable[[Path], None]:
    return lambda path: draw(analysis, path)
