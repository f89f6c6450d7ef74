"""Measurements on models as work for executors."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from nmtool import model as model_files
from nmtool.verbs.sweep.evaluate import Evaluator, Evaluators, Measurement
from nmtool.verbs.sweep.models import NoisyModel
from nmtool.verbs.sweep.plan import Point


class OfModel(Hashable, Protocol):
    """A task on a model."""

    @property
    def model(self) -> str:
        """The model's label."""


Task = TypeVar("Task", bound=OfModel)
Result = TypeVar("Result")


class Evaluation(Generic[Task, Result]):
    """What is done with models and data at every task. A copy in another process opens sessions of its own.

    Attributes:
        evaluators: of this process.
    """

    def __init__(
        self,
        measurement: Measurement,
        models: Mapping[str, NoisyModel],
        evaluate: Callable[[Evaluator, Task], Result],
    ) -> None:
        """Open nothing yet.

        Args:
            measurement: the data and the metric.
            models: by label.
            evaluate: does a task on its model; a function of a module, so that it can be pickled.
        """
        self.evaluators = Evaluators(measurement)
        self._measurement, self._models, self._evaluate = measurement, models, evaluate

    def __reduce__(self) -> tuple[Any, ...]:
        return Evaluation, (self._measurement, self._models, self._evaluate)

    @property
    def files(self) -> Sequence[Sequence[Path]]:
        """The models with their external data, and the data set; see Work."""
        return [*(model_files.files(model.file) for model in self._models.values()), *self._measurement.files]

    def open(self, locate: Callable[[Path], Path]) -> Callable[[Task], Result]:
        """See Work."""
        if (measurement := self._measurement.located(locate)) is not self._measurement:
            self.evaluators = Evaluators(measurement)
        models = {label: replace(model, file=locate(model.file)) for label, model in self._models.items()}
        return lambda task: self._evaluate(self.evaluators.get(models[task.model]), task)


@dataclass(frozen=True)
class Outcome:
    """An evaluated point; see Record for the fields."""

    value: float
    seconds: float
    runtime: str
    library: bool


def evaluate(evaluator: Evaluator, point: Point) -> Outcome:
    """The outcome at a point of a sweep."""
    start = time.perf_counter()
    value = evaluator.evaluate(point)
    return Outcome(value, time.perf_counter() - start, evaluator.runtime, evaluator.library)
