"""Looking at the outputs of all noisy layers at once."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nmtool import backends
from nmtool import model as model_files
from nmtool.backends import Array
from nmtool.data import Batch
from nmtool.data import load as load_data
from nmtool.passes.expose import exposed
from nmtool.passes.twins import Pair, Twins
from nmtool.verbs.analyze.subject import Subject
from nmtool.verbs.noisy import NoisyRunner

SAMPLES = 256
"""Samples that are looked at: every element of an output counts, so these are many."""
_BATCH = 8  # the outputs of all layers are in memory at once


class Probe:
    """A session in which the outputs of all layers, and of their twins, are seen.

    Attributes:
        pairs: the nodes that are seen, and their twins.
        count: how many samples there are, at most `SAMPLES`.
    """

    def __init__(self, subject: Subject, folder: Path, more: Sequence[str] = ()) -> None:
        """Open the session.

        Args:
            subject: the model.
            folder: for a temporary file.
            more: names of other values of the main graph to see.

        Raises:
            ModelError: the runtime does not run the model.
        """
        twins = Twins()
        model = exposed(twins(subject.model.clone()).model, more)
        path = folder / "twins.onnx"
        model_files.save(model, path, force=True)
        measurement = subject.measurement
        self._subject = subject
        self._runner = NoisyRunner(backends.load(path, measurement.backend, **measurement.backend_options))
        self._data = load_data(measurement.data, self._runner.ports, measurement.data_options)
        self.pairs: Sequence[Pair] = twins.pairs
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
        subject = self._subject
        factors = subject.factors(range(len(subject.layers)) if noisy else ())
        run = trial * len(self) + number
        values = self._runner.run(names, batch.feeds, trial, subject.scale, run=run, layers=factors)
        return [batch.cut(value) for value in values]
