"""Validation under noise: what a student is worth on samples that it was not trained on."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmtool.backends import Array
from nmtool.data import Batch, Dataset
from nmtool.errors import UsageError
from nmtool.metrics import Metric
from nmtool.training.checkpoint import Scores
from nmtool.training.student import Student

_KEPT = 1 << 30  # bytes of prepared samples that are kept in memory; more are read anew each time


class Validator:
    """Scores a student by a metric, on noise samples of a seed of its own.

    Metrics that compare with a clean model compare with the student as it is when this is made.

    Attributes:
        metric: the metric.
    """

    def __init__(
        self,
        student: Student,
        data: Dataset,
        samples: NDArray[np.int64],
        *,
        metric: Metric,
        output: int,
        eta: float,
        trials: int,
        seed: int,
        batch_size: int,
        device: torch.device,
    ) -> None:
        """Prepare, and keep the samples where they fit in memory.

        Args:
            student: as it was before training.
            data: where the samples are.
            samples: their positions.
            metric: what they are judged by.
            output: position of the output that it judges.
            eta: strength of the noise.
            trials: noise samples, the same at every validation.
            seed: of the noise.
            batch_size: samples at once.
            device: where the student is.

        Raises:
            UsageError: the metric needs labels, and the data has none.
        """
        if metric.needs_labels and data.labels is None:
            raise UsageError(
                f"metric {metric.name} needs labels, {data.name} has none",
                hint="name the array of labels, or choose a metric that compares with the clean model, as agreement",
            )
        self.metric = metric
        self._student, self._output, self._eta, self._trials, self._seed = student, output, eta, trials, seed
        self._device = device
        self._data = data
        self._parts = [samples[start : start + batch_size] for start in range(0, len(samples), batch_size)]
        self._kept: list[Batch] | None = None
        if sum(array.nbytes for array in data.take(self._parts[0]).feeds.values()) * len(self._parts) <= _KEPT:
            self._kept = list(self._batches())
        self._clean = [output for output, _ in self._run(0, 0.0)] if metric.needs_clean else None

    def scores(self) -> Scores:
        """The student's scores now."""
        return Scores(self._score(0, 0.0), tuple(self._score(trial, self._eta) for trial in range(self._trials)))

    def _score(self, trial: int, scale: float) -> float:
        total = self.metric.start()
        clean = self._clean or [None] * len(self._parts)
        for (output, labels), reference in zip(self._run(trial, scale), clean, strict=True):
            total.add(output, labels, reference)
        return total.value()

    def _batches(self) -> Iterator[Batch]:
        return iter(self._kept) if self._kept is not None else map(self._data.take, self._parts)

    @torch.no_grad()
    def _run(self, trial: int, scale: float) -> Iterator[tuple[Array, Array | None]]:
        """Outputs and labels of each batch."""
        training, student = self._student.training, self._student
        student.eval()
        student.reseed(self._seed)
        student.mirror(False)
        student.age(1.0)
        noise = (torch.tensor(trial, device=self._device), torch.tensor(scale, device=self._device))
        for batch in self._batches():
            feeds = map(np.ascontiguousarray, batch.feeds.values())
            inputs: list[Tensor] = [torch.from_numpy(feed).to(self._device) for feed in feeds]
            yield student(*inputs, *noise)[self._output].float().cpu().numpy(), batch.labels
        student.train(training)
