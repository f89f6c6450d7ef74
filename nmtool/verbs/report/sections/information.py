"""Mutual information that is left under noise, in bits."""

from collections.abc import Sequence
from typing import Any

from nmtool.verbs.report.charts import Axis, Curve, Limit, LineChart, Point, bar, color
from nmtool.verbs.report.documents import Analyzed, Information, InformationCurve, InformationPoint
from nmtool.verbs.report.figures import figure
from nmtool.verbs.report.section import Section
from nmtool.verbs.report.sources import Sources

_QUANTITIES = {
    "read_bits": "I(X; Y) under read noise",
    "chip_bits": "I(X; Y) under chip noise",
    "label_bits": "I(label; prediction) under read noise",
    "label_chip_bits": "I(label; prediction) under chip noise",
}


def section(sources: Sources) -> Section | None:
    """Curves for each quantity, and bars for the layers, of each analysis that has the part."""
    parts = [_part(each.model.name, each.information) for _, each in sources.contents(Analyzed) if each.information]
    return Section("information", "Information", {"parts": parts}) if parts else None


def _part(name: str, information: Information) -> dict[str, Any]:
    points = [(curve.name, point) for curve in information.models for point in curve.curve]
    charts = [
        _chart(title, quantity, information)
        for quantity, title in _QUANTITIES.items()
        if any(getattr(point, quantity) is not None for _, point in points)
    ]
    axis = Axis.of_bars("bits", [layer.infonce_bits for layer in information.layers])
    layers = [(layer, bar(axis, layer.infonce_bits)) for layer in information.layers]
    draws = [(model, each) for model in information.convergence for each in model.draws]
    return {"name": name, "charts": charts, "points": points, "draws": draws, "axis": axis, "layers": layers}


def _chart(title: str, quantity: str, information: Information) -> LineChart:
    limits = []
    if quantity.startswith("label") and information.label_entropy_bits is not None:
        entropy = information.label_entropy_bits
        limits.append(Limit(entropy, f"entropy of the labels, {figure(entropy)} bits"))
    curves = [_curve(model, quantity, position) for position, model in enumerate(information.models)]
    points = [point for curve in curves for point in curve.points]
    ends = [*(end for point in points for end in (point.y, point.low, point.high)), *(limit.y for limit in limits)]
    x = Axis.over("noise η", [point.x for point in points], zero=True)
    told = "; ".join(f"{curve.name}: {_told(curve.points)}" for curve in curves if curve.points)
    return LineChart(title, told, x, Axis.over("bits", ends, zero=True), curves, limits=limits)


def _curve(model: InformationCurve, quantity: str, position: int) -> Curve:
    points = [_point(point, quantity) for point in sorted(model.curve, key=lambda point: point.eta)]
    return Curve(model.name, points, color(position))


def _point(point: InformationPoint, quantity: str) -> Point:
    ends = (point.low, point.high) if quantity == "read_bits" else (None, None)
    return Point(point.eta, getattr(point, quantity), *ends)


def _told(points: Sequence[Point]) -> str:
    first, last = points[0], points[-1]
    return f"{figure(first.y)} bits at {first.x:g}, {figure(last.y)} at {last.x:g}"
