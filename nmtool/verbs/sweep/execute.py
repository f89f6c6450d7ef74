"""The points of a sweep as work for executors."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmtool import model as model_files
from nmtool.data import path_of
from nmtool.verbs.sweep.evaluate import Evaluators, Measurement
from nmtool.verbs.sweep.models import NoisyModel
from nmtool.verbs.sweep.plan import Point


@dataclass(frozen=True)
class Outcome:
    """An evaluated point; see Record for the fields."""

    value: float
    seconds: float
    runtime: str
    library: bool


class Evaluation:
    """What is done at every point. A copy in another process opens sessions of its own.

    Attributes:
        evaluators: of this process.
        files: see Work.
    """

    def __init__(self, measurement: Measurement, models: Mapping[str, NoisyModel]) -> None:
        self.evaluators = Evaluators(measurement)
        self._measurement, self._models = measurement, models

    def __reduce__(self) -> tuple[Any, ...]:
        return Evaluation, (self._measurement, self._models)

    @property
    def files(self) -> Sequence[Sequence[Path]]:
        """The models with their external data, and the data set."""
        data = path_of(self._measurement.data)
        models = [model_files.files(model.file) for model in self._models.values()]
        return models if data is None else [*models, [data]]

    def open(self, locate: Callable[[Path], Path]) -> Callable[[Point], Outcome]:
        """See Work."""
        data = path_of(self._measurement.data)
        if data is not None and locate(data) != data:
            self.evaluators = Evaluators(replace(self._measurement, data=locate(data)))
        self._models = {label: replace(model, file=locate(model.file)) for label, model in self._models.items()}
        return self._evaluate

    def _evaluate(self, point: Point) -> Outcome:
        evaluator = self.evaluators.get(self._models[point.model])
        start = time.perf_counter()
        value = evaluator.evaluate(point)
        return Outcome(value, time.perf_counter() - start, evaluator.runtime, evaluator.library)
