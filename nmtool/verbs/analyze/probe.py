"""Looking at the outputs of all noisy layers at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmtool import backends
from nmtool import model as model_files
from nmtool.backends import Array
from nmtool.data import Batch
from nmtool.data import load as load_data
from nmtool.passes.expose import exposed
from nmtool.passes.twins import Pair, Twins
from nmtool.verbs.analyze.subject import Subject
from nmtool.verbs.noisy import NoisyRunner
from nmtool.verbs.sweep.evaluate import Measurement

SAMPLES = 256
"""Samples that are looked at: every element of an output counts, so these are many."""
_BATCH = 8  # the outputs of all layers are in memory at once


@dataclass(frozen=True)
class View:
    """A model whose outputs are those of all layers, and of their twins.

    Attributes:
        file: the model.
        pairs: the nodes that are seen, and their twins.
        layers: number of factors that the model takes.
        scale: of the noise.
    """

    file: Path
    pairs: Sequence[Pair]
    layers: int
    scale: float

    @classmethod
    def of(cls, subject: Subject, folder: Path, more: Sequence[str] = ()) -> "View":
        """Write the model.

        Args:
            subject: the model that is looked at.
            folder: for the file.
            more: names of other values of the main graph to see.
        """
        twins = Twins()
        model = exposed(twins(subject.model.clone()).model, more)
        file = folder / "twins.onnx"
        model_files.save(model, file, force=True)
        return cls(file, twins.pairs, len(subject.layers), subject.scale)


class Probe:
    """A session of such a model, and data.

    Attributes:
        pairs: the nodes that are seen, and their twins.
        count: how many samples there are, at most `SAMPLES`.
    """

    def __init__(self, view: View, measurement: Measurement) -> None:
        """Open the session.

        Args:
            view: the model.
            measurement: the data and the backend.

        Raises:
            ModelError: the runtime does not run the model.
        """
        self._view = view
        self._runner = NoisyRunner(backends.load(view.file, measurement.backend, **measurement.backend_options))
        self._data = load_data(measurement.data, self._runner.ports, measurement.data_options)
        self.pairs = view.pairs
        self.count = min(SAMPLES, self._data.count)

    def __len__(self) -> int:
        """Number of batches."""
        return -(-self.count // (self._data.batch_size if self._data.fixed else _BATCH))

    def batches(self) -> Iterator[tuple[int, Batch]]:
        """The samples in small batches, numbered; more than `count` where batches have a fixed size."""
        if self._data.fixed:
            yield from zip(range(len(self)), self._data, strict=False)
            return
        for number in range(len(self)):
            yield number, self._data.take(range(number * _BATCH, min((number + 1) * _BATCH, self.count)))

    def run(self, names: Sequence[str], number: int, batch: Batch, trial: int, *, noisy: bool) -> list[Array]:
        """Values for a batch.

        Args:
            names: of the values.
            number: of the batch.
            batch: the samples.
            trial: which noise sample.
            noisy: whether the layers are noisy; their twins always are.
        """
        factors = np.full(self._view.layers, noisy, np.float32)
        run = trial * len(self) + number
        values = self._runner.run(names, batch.feeds, trial, self._view.scale, run=run, layers=factors)
        return [batch.cut(value) for value in values]
