"""What a sweep found."""

import csv
import dataclasses
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmtool.atomic import written_whole
from nmtool.errors import ModelError, UsageError
from nmtool.verbs.sweep.statistics import Summary, summarize
from nmtool.verbs.sweep.store import Record
from nmtool.verbs.sweep.tolerance import Tolerance, tolerance


@dataclass(frozen=True)
class Row:
    """A model at a noise level."""

    model: str
    eta: float
    summary: Summary


@dataclass(frozen=True)
class SweepResult:
    """The points of a sweep and what follows from them.

    Attributes:
        metric: name of the metric.
        higher_is_better: its direction.
        points: one record per evaluation, by model, then level, then trial.
        variants: the values of the hardware that it went over, as "time=1h", which labels end in; empty without.
    """

    metric: str
    higher_is_better: bool
    points: Sequence[Record]
    variants: Sequence[str] = ()

    @property
    def models(self) -> list[str]:
        """Labels of the models, in the order they were given."""
        return list(dict.fromkeys(record.point.model for record in self.points))

    def summary(self) -> list[Row]:
        """Mean, standard deviation and 95 % interval for every model and level."""
        values: dict[tuple[str, float], list[float]] = {}
        for record in self.points:
            values.setdefault((record.point.model, record.point.eta), []).append(record.value)
        return [Row(model, eta, summarize(each)) for (model, eta), each in values.items()]

    def tolerance(self, drop: float, reference: float | None = None) -> dict[str, Tolerance]:
        """The largest noise level at which the mean metric is within `drop` of the clean value, for every model.

        Args:
            drop: in units of the metric: 0.01 is one percentage point of accuracy.
            reference: value that the drop is from, for all models: that of the original, where they were made from
                one. None: each model's own clean value.

        Raises:
            UsageError: the drop is negative or not a number.
            ModelError: a clean value is not finite.
        """
        if not drop >= 0:
            raise UsageError(f"drop must not be negative: {drop}")
        return {model: self._tolerance(model, drop, reference) for model in self.models}

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON-serialisable values."""
        return {
            "schema": "nmtool.sweep-result/1",
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "summary": list(self._rows()),
            "points": [dataclasses.asdict(record) for record in self.points],
        }

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the summary: model, eta, trials, mean, std, low, high."""
        with written_whole(Path(path)) as staged, staged.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["model", "eta", *(each.name for each in dataclasses.fields(Summary))])
            writer.writeheader()
            writer.writerows(self._rows())

    def plot(self, *paths: str | os.PathLike[str]) -> None:
        """Draw metric against noise into files; the suffix (.svg, .png, .pdf) decides the format.

        Raises:
            SetupError: matplotlib is not installed.
            UsageError: a suffix matplotlib does not know.
        """
        from nmtool.verbs.sweep.plot import plot

        plot(self, [Path(path) for path in paths])

    def _rows(self) -> Iterable[dict[str, Any]]:
        for row in self.summary():
            yield {"model": row.model, "eta": row.eta} | dataclasses.asdict(row.summary)

    def _tolerance(self, model: str, drop: float, reference: float | None) -> Tolerance:
        records = [record for record in self.points if record.point.model == model]
        values = {(record.point.trial, record.point.eta): record.value for record in records}
        etas = sorted({eta for _, eta in values})
        trials = sorted({trial for trial, _ in values})
        clean = values[0, 0.0]
        if not math.isfinite(clean):
            raise ModelError(f"{model} without noise has {self.metric} {clean}")
        grid = [[clean, *(values[trial, eta] for eta in etas[1:])] for trial in trials]
        return tolerance(etas, np.array(grid), drop, self.higher_is_better, reference)
