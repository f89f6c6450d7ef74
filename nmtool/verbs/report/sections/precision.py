"""Which layers should stay digital, and what each of them brings."""

import re
from typing import Any

from nmtool.verbs.report.charts import Axis, Curve, Limit, LineChart, Point
from nmtool.verbs.report.documents import Analyzed, Precision
from nmtool.verbs.report.figures import unit
from nmtool.verbs.report.section import Headline, Section
from nmtool.verbs.report.sources import Sources

_BOUND = re.compile(r"[<>]=\s*([\d.eE+-]+)")


def section(sources: Sources) -> Section | None:
    """The steps of each search, with its gate."""
    parts = [_part(each, each.precision) for _, each in sources.contents(Analyzed) if each.precision]
    if not parts:
        return None
    headlines = [
        Headline("Digital layers", str(len(part["advice"].digital)), f"of {part['name']}, for {part['advice'].gate}")
        for part in parts
    ]
    return Section("precision", "Mixed precision", {"parts": parts}, headlines)


def _part(analysis: Analyzed, advice: Precision) -> dict[str, Any]:
    return {
        "name": analysis.model.name,
        "advice": advice,
        "unit": unit(analysis.settings.metric),
        "chart": _chart(analysis, advice),
    }


def _chart(analysis: Analyzed, advice: Precision) -> LineChart | None:
    """The metric against the share of multiply-accumulates that is digital."""
    values = unit(analysis.settings.metric)
    points = [
        Point(1 - step.mac_share_analog, step.metric.mean, step.metric.low, step.metric.high)
        for step in advice.steps
        if step.mac_share_analog is not None
    ]
    if len(points) < 2:
        return None
    limits = [Limit(float(match[1]), f"gate {advice.gate}") for match in [_BOUND.search(advice.gate)] if match]
    ends = [*(end for point in points for end in (point.y, point.low, point.high)), *(limit.y for limit in limits)]
    x = Axis.over("multiply-accumulates that are digital (%)", [point.x for point in points], 100.0)
    first, last = points[0], points[-1]
    told = f"from {values(first.y)} with {first.x:.0%} digital to {values(last.y)} with {last.x:.0%}"
    y = Axis.over(values.title, ends, values.factor)
    return LineChart(f"{values.name} as layers become digital", told, x, y, [Curve("search", points)], limits=limits)
