"""Validation under noise: what a student is worth on samples that it was not trained on."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmtool.backends import Array
from nmtool.data import Dataset
from nmtool.errors import UsageError
from nmtool.metrics import Metric
from nmtool.training.checkpoint import Scores
from nmtool.training.student import Student


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
        """Prepare, and read the samples where they fit in memory.

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
        self._batches = [
            (list(batch.feeds.values()), batch.labels)
            for batch in (
                data.take(samples[start : start + batch_size]) for start in range(0, len(samples), batch_size)
            )
        ]
        self._clean = self._outputs(0, 0.0) if metric.needs_clean else None

    def scores(self) -> Scores:
        """The student's scores now."""
        return Scores(self._score(0, 0.0), tuple(self._score(trial, self._eta) for trial in range(self._trials)))

    def _score(self, trial: int, scale: float) -> float:
        total = self.metric.start()
        outputs = self._outputs(trial, scale)
        clean = self._clean or [None] * len(outputs)
        for output, (_, labels), reference in zip(outputs, self._batches, clean, strict=True):
            total.add(output, labels, reference)
        return total.value()

    @torch.no_grad()
    def _outputs(self, trial: int, scale: float) -> Sequence[Array]:
        training, student = self._student.training, self._student
        student.eval()
        student.reseed(self._seed)
        student.mirror(False)
        student.age(1.0)
        noise = (torch.tensor(trial, device=self._device), torch.tensor(scale, device=self._device))
        outputs: list[Array] = []
        for feeds, _ in self._batches:
            inputs: list[Tensor] = [torch.from_numpy(np.ascontiguousarray(feed)).to(self._device) for feed in feeds]
            outputs.append(student(*inputs, *noise)[self._output].float().cpu().numpy())
        student.train(training)
        return outputs
