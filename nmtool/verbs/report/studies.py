"""The points of sweeps, from whatever files they are in, in groups that can share a chart."""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from nmtool.metrics import METRICS, is_share
from nmtool.verbs.report.documents import Swept
from nmtool.verbs.report.sources import Sources
from nmtool.verbs.sweep.plan import Point
from nmtool.verbs.sweep.plot import noise_label
from nmtool.verbs.sweep.result import SweepResult
from nmtool.verbs.sweep.store import Record, Setting
from nmtool.verbs.sweep.tolerance import Tolerance

_Points = dict[Point, Record]


@dataclasses.dataclass(frozen=True)
class Study:
    """Sweeps of one metric on one data set under one kind of noise.

    Attributes:
        result: all points; labels name one model with its noise each.
        directed: whether it is known in which direction the metric is better.
        noise: name of the noise and its unit.
    """

    result: SweepResult
    directed: bool
    noise: str

    @property
    def setting(self) -> Setting:
        """What all points share, and a model's own."""
        return self.result.points[0].setting

    def tolerance(self, model: str, drop: float) -> Tolerance | None:
        """Eta* from those trials that have all levels; None where it cannot be told: no level, trial or direction."""
        points = {r.point: r for r in self.result.points if r.point.model == model}
        levels = sorted({point.eta for point in points if point.eta > 0})
        clean = points.get(Point(model, 0.0, 0))
        trials = sorted({point.trial for point in points})
        complete = [t for t in trials if all(Point(model, eta, t) in points for eta in levels)]
        if not (self.directed and levels and complete and clean is not None and math.isfinite(clean.value)):
            return None
        records = [clean, *(points[Point(model, eta, trial)] for trial in complete for eta in levels)]
        return dataclasses.replace(self.result, points=records).tolerance(drop)[model]


def studies(sources: Sources) -> Iterator[Study]:
    """The sweeps of a folder: results files and recorded documents."""
    swept = [content for _, content in sources.contents(Swept)]
    directions = {name: metric.higher_is_better for name, metric in METRICS.items()}
    directions |= {content.metric: content.higher_is_better for content in swept}
    found = [*(results.points for results in sources.results), *(content.points for content in swept)]
    groups: dict[str, dict[str, _Points]] = {}
    for record in (record for points in found for record in points):
        group = groups.setdefault(_shared(record.setting), {})
        group.setdefault(_own(record.setting), {})[record.point] = record
    for models in groups.values():
        records = _labelled(list(models.values()))
        metric = records[0].setting.metric
        result = SweepResult(metric, directions.get(metric, True), records)
        noise = noise_label([record.setting.noise for record in records])
        yield Study(result, metric in directions or is_share(metric), noise)


def _shared(setting: Setting) -> str:
    """What the points of a chart have in common."""
    names = ("metric", "output", "data_sha256", "samples", "redraw")
    return _key(*(getattr(setting, name) for name in names), noise_label([setting.noise]))


def _own(setting: Setting) -> str:
    """What is a curve's own."""
    return _key(*(getattr(setting, name) for name in ("model", "model_sha256", "noise", "injection", "seed")))


def _key(*values: Any) -> str:
    return json.dumps(values, sort_keys=True)


def _labelled(models: Sequence[_Points]) -> list[Record]:
    """The points in order; labels that several models have get the digest and the seed behind them."""
    labels = [next(iter(points)).model for points in models]
    records = []
    for points, label in zip(models, labels, strict=True):
        for point, record in sorted(points.items(), key=lambda each: (each[0].eta, each[0].trial)):
            setting = record.setting
            own = f"{label} ({setting.model_sha256[:8]}, seed {setting.seed})" if labels.count(label) > 1 else label
            records.append(dataclasses.replace(record, point=dataclasses.replace(point, model=own)))
    return records
