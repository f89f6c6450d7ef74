"""A metric against the strength of the noise, with the tolerance eta*."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nmtool.metrics import is_share
from nmtool.verbs.report.charts import Axis, Curve, LineChart, Mark, Point, color
from nmtool.verbs.report.figures import DASH, Unit, figure, unit
from nmtool.verbs.report.section import Headline, Section
from nmtool.verbs.report.sources import Sources
from nmtool.verbs.report.studies import Study, studies
from nmtool.verbs.sweep.result import Row
from nmtool.verbs.sweep.statistics import Summary
from nmtool.verbs.sweep.store import Setting
from nmtool.verbs.sweep.tolerance import Tolerance

_VARIANT = re.compile(r"(.*) (\S+?)=(\S+)")  # a label of a sweep over a value of the hardware


@dataclass(frozen=True)
class Shown:
    """A study as the template shows it.

    Attributes:
        chart: the curves.
        unit: of the metric.
        models: labels.
        levels: strengths of the noise, each with the summaries by label.
        tolerances: eta* by label; None where it cannot be told. Empty in a sweep over hardware.
        setting: what all points share.
        trials: the largest number of noise samples.
    """

    chart: LineChart
    unit: Unit
    models: Sequence[str]
    levels: Mapping[float, Mapping[str, Summary]]
    tolerances: Mapping[str, Tolerance | None]
    setting: Setting
    trials: int


def section(sources: Sources, drop: float) -> Section | None:
    """A chart for each metric, data set and kind of noise."""
    found = sorted((_shown(study, drop) for study in studies(sources)), key=lambda shown: not shown.tolerances)
    if not found:
        return None
    headlines = [
        Headline("Tolerance η*", bound(tolerance), f"{label}, for {_loss(drop, shown.unit)} of {shown.unit.name}")
        for shown in found
        for label, tolerance in shown.tolerances.items()
        if tolerance is not None
    ]
    values = {"studies": found, "bound": bound, "losses": {shown.unit: _loss(drop, shown.unit) for shown in found}}
    return Section("sweeps", "Noise tolerance", values, headlines)


def bound(tolerance: Tolerance | None) -> str:
    """Eta* in text."""
    return DASH if tolerance is None else f"{'≥ ' if tolerance.beyond_grid else ''}{figure(tolerance.eta)}"


def _loss(drop: float, unit_: Unit) -> str:
    loss = f"{drop * unit_.factor:g}"
    return loss if not unit_.suffix else f"{loss} percentage point{'' if loss == '1' else 's'}"


def _shown(study: Study, drop: float) -> Shown:
    rows, result = study.result.summary(), study.result
    levels: dict[float, dict[str, Summary]] = {}
    for row in sorted(rows, key=lambda row: row.eta):
        levels.setdefault(row.eta, {})[row.model] = row.summary
    variants = [_VARIANT.fullmatch(model) for model in result.models]
    over = len({variant[2] if variant else "" for variant in variants}) == 1 and variants[0] is not None
    tolerances = {} if over else {model: study.tolerance(model, drop) for model in result.models}
    chart = _over_hardware(study, rows) if over else _over_strength(study, rows, tolerances)
    trials = max(row.summary.trials for row in rows)
    return Shown(chart, unit(result.metric), result.models, levels, tolerances, study.setting, trials)


def _over_strength(study: Study, rows: Sequence[Row], tolerances: Mapping[str, Tolerance | None]) -> LineChart:
    values = unit(study.result.metric)
    curves, marks, told = [], [], []
    for position, model in enumerate(study.result.models):
        points = [_point(row.eta, row.summary) for row in rows if row.model == model]
        curves.append(Curve(model, points, color(position)))
        told.append(f"{model} falls from {values(points[0].y)} to {values(points[-1].y)} at {points[-1].x:g}")
        if (tolerance := tolerances[model]) is not None:
            marks.append(Mark(tolerance.eta, f"η* {bound(tolerance)}", color(position)))
    x = Axis.over(study.noise, [row.eta for row in rows], zero=True)
    return LineChart(f"{values.name} under noise", "; ".join(told), x, _y(study, rows), curves, marks)


def _over_hardware(study: Study, rows: Sequence[Row]) -> LineChart:
    """The metric on the hardware, as strong as it was measured, for each of its values."""
    strongest = max(row.eta for row in rows)
    summaries = {row.model: row.summary for row in rows if row.eta == strongest}
    parts = [match.groups() for match in map(_VARIANT.fullmatch, summaries) if match is not None]
    key, categories = parts[0][1], list(dict.fromkeys(value for _, _, value in parts))
    curves, told, values = [], [], unit(study.result.metric)
    for position, model in enumerate(dict.fromkeys(model for model, _, _ in parts)):
        at = {value: summaries[f"{base} {key}={value}"] for base, _, value in parts if base == model}
        points = [_point(place, at[value]) for place, value in enumerate(categories) if value in at]
        curves.append(Curve(model, points, color(position)))
        told.append(f"{model}: " + ", ".join(f"{values(each.mean)} at {value}" for value, each in at.items()))
    x = Axis(key, -0.25, len(categories) - 0.75, step=1.0)
    title = f"{values.name} on the hardware, by {key}"
    return LineChart(title, "; ".join(told), x, _y(study, rows), curves, categories=categories)


def _point(x: float, summary: Summary) -> Point:
    return Point(x, summary.mean, summary.low, summary.high)


def _y(study: Study, rows: Sequence[Row]) -> Axis:
    ends = [end for row in rows for end in (row.summary.mean, row.summary.low, row.summary.high) if end is not None]
    if is_share(study.result.metric):
        ends = [min(max(end, 0.0), 1.0) for end in ends]
    values = unit(study.result.metric)
    return Axis.over(values.title, ends, values.factor)
