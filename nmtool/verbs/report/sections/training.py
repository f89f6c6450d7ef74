"""How trainings went: loss and validation by step, and the weights before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from nmtool.verbs.report.charts import Axis, Curve, LineChart, Point
from nmtool.verbs.report.documents import Distilled
from nmtool.verbs.report.figures import Unit, last_part, unit
from nmtool.verbs.report.section import Headline, Section
from nmtool.verbs.report.sources import Log, Sources

_MOST = 200  # points of a curve; more steps are drawn as means with their range
_VALIDATION = {"clean": "without noise", "noisy": "under noise"}


def section(sources: Sources) -> Section | None:
    """The log of each training, and the results that were recorded."""
    trainings = [_training(content) for _, content in sources.contents(Distilled)]
    units = {last_part(each["content"].run_dir): each["unit"] for each in trainings}
    logs = [_log(log, units.get(last_part(log.file.rpartition("/")[0]), Unit("metric"))) for log in sources.logs]
    if not trainings and not logs:
        return None
    headlines = [
        Headline(
            f"{each['unit'].name} at η {each['content'].eta:g}",
            each["unit"](each["after"].mean),
            f"after training, {each['unit'](each['before'].mean)} before",
        )
        for each in trainings
        if each["before"] is not None and each["after"] is not None
    ]
    return Section("training", "Training", {"trainings": trainings, "logs": logs}, headlines)


def _training(content: Distilled) -> dict[str, Any]:
    names = {"before": "original weights", "after": "trained weights", "rounded": "as stored, rounded"}
    scores = {title: getattr(content, name) for name, title in names.items()}
    summaries = {name: None if each is None else each.summary for name, each in vars(content).items() if name in names}
    return {
        "content": content,
        "unit": unit(content.metric),
        "scores": {title: each for title, each in scores.items() if each is not None},
        **summaries,
    }


def _log(log: Log, metric: Unit) -> dict[str, Any]:
    charts = [_chart("Loss", Unit("loss"), {"loss": log.columns["loss"]})] if "loss" in log.columns else []
    validation = {title: log.columns[name] for name, title in _VALIDATION.items() if name in log.columns}
    if validation:
        charts.append(_chart("Validation", metric, validation))
    by_step = {name: dict(log.columns.get(name, ())) for name in ("epoch", *_VALIDATION)}
    steps = sorted({step for name in _VALIDATION for step in by_step[name]})
    rows = [(step, *(by_step[name].get(step) for name in by_step)) for step in steps]
    return {"file": log.file, "charts": charts, "rows": rows, "unit": metric}


def _chart(title: str, quantity: Unit, columns: Mapping[str, Sequence[tuple[float, float]]]) -> LineChart:
    curves = [
        Curve(name, _thinned(column), position, markers=len(column) <= _MOST // 4)
        for position, (name, column) in enumerate(columns.items())
    ]
    points = [point for curve in curves for point in curve.points]
    ends = [end for point in points for end in (point.y, point.low, point.high)]
    told = [f"{name} from {quantity(each[0][1])} to {quantity(each[-1][1])}" for name, each in columns.items()]
    x = Axis.over("step", [point.x for point in points], zero=True)
    return LineChart(title, "; ".join(told), x, Axis.over(quantity.title, ends, quantity.factor), curves)


def _thinned(column: Sequence[tuple[float, float]]) -> list[Point]:
    """At most so many points that a screen can show: means of neighbours, with the range they are from."""
    size = -(-len(column) // _MOST)
    if size == 1:
        return [Point(step, value) for step, value in column]
    points = []
    for start in range(0, len(column), size):
        steps, values = zip(*column[start : start + size], strict=True)
        mean = sum(values) / len(values)
        points.append(Point(sum(steps) / len(steps), mean, min(values), max(values)))
    return points
