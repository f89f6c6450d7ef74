"""One point of a sweep on one session."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nmtool import backends
from nmtool.backends import Array
from nmtool.data import Batch, DataOptions, DataSource, path_of
from nmtool.data import load as load_data
from nmtool.errors import UsageError
from nmtool.hardware import Hardware
from nmtool.metrics import find
from nmtool.verbs.noisy import TRIALS, NoisyRunner
from nmtool.verbs.sweep.models import NoisyModel
from nmtool.verbs.sweep.plan import Point
from nmtool.verbs.sweep.store import Setting

Redraw = Literal["set", "batch"]

_CACHE_LIMIT = 1 << 30  # bytes of prepared batches that a session keeps


@dataclass(frozen=True)
class Measurement:
    """What is done at every point, the same for all models.

    Attributes:
        data: the data source.
        data_options: how to read and prepare it.
        metric: name of the metric.
        output: the output it judges; None: the model's first.
        redraw: "set": one draw per trial for the whole data set, as a chip has it; "batch": a draw for every batch.
        backend: one of `nmtool.backends.names()`.
        backend_options: of the backend.
    """

    data: DataSource
    data_options: DataOptions
    metric: str
    output: str | None
    redraw: Redraw
    backend: str
    backend_options: Mapping[str, Any]

    @property
    def files(self) -> Sequence[Sequence[Path]]:
        """What the data is read from, as `Work.files` has it."""
        path = path_of(self.data)
        return [] if path is None else [[path]]

    def located(self, locate: Callable[[Path], Path]) -> "Measurement":
        """The same with the data where a worker has it."""
        path = path_of(self.data)
        return self if path is None or locate(path) == path else replace(self, data=locate(path))

    def anywhere(self) -> "Measurement":
        """The same without a device: this machine may not have what the workers have."""
        options = {name: value for name, value in self.backend_options.items() if name != "device"}
        return replace(self, backend_options=options)


class Evaluator:
    """A session, its data and its metric.

    Attributes:
        model: the model it evaluates.
        runtime: the runner's description.
        library: whether the operator library computes the noise.
    """

    def __init__(self, measurement: Measurement, model: NoisyModel) -> None:
        """Open the session and the data, and check that they go together.

        Raises:
            UsageError: the data does not fit the model or the metric, or the options exclude each other.
            ModelError: the model cannot be loaded.
        """
        self.model = model
        self._measurement = measurement
        self._metric = find(measurement.metric)
        self._noisy = NoisyRunner(backends.load(model.file, measurement.backend, **measurement.backend_options))
        self._output = self._noisy.output(measurement.output)
        self._data = load_data(measurement.data, self._noisy.ports, measurement.data_options)
        self.runtime = self._noisy.runner.description
        self.library = self._noisy.runner.library
        if not self._noisy.varies and model.provenance.noise["model"] != Hardware.name:  # whose steps may be the matter
            raise UsageError(f"nothing to sweep in {model.label}: no noise depends on a trial")
        if self._metric.needs_labels and self._data.labels is None:
            raise UsageError(
                f"metric {self._metric.name} needs labels, {self._data.name} has none",
                hint="name the array of labels, or choose a metric that compares with the clean model, as agreement",
            )
        self._cached: list[Batch] | None = None
        self._clean: list[Array] | None = None

    @property
    def labelled(self) -> bool:
        """Whether the data has labels."""
        return self._data.labels is not None

    def setting(self) -> Setting:
        """What determines this model's values; reads all the data."""
        return Setting(
            model=self.model.label,
            model_sha256=self.model.sha256,
            noise=self.model.provenance.noise,
            seed=self.model.provenance.seed,
            injection=self.model.injection,
            data_sha256=self._data.digest(),
            samples=self._data.count,
            metric=self._metric.name,
            output=self._output,
            redraw=self._measurement.redraw,
            batch_size=self._data.batch_size,
        )

    def check_trials(self, trials: int) -> None:
        """Refuse more trials than there are noise samples.

        Raises:
            UsageError: two evaluations would share a sample.
        """
        samples = trials * self._draws
        if samples > TRIALS:
            raise UsageError(f"{trials} trials of {self._draws} draws are {samples} noise samples, there are 2^32")

    def evaluate(self, point: Point) -> float:
        """The metric at a point; see `measure`."""
        return self.measure(point.trial, self.model.scale(point.eta))

    def measure(self, trial: int, scale: float, layers: Array | None = None) -> float:
        """The metric in a trial.

        With `redraw` "batch" batch b of trial t has noise sample `t * batches + b`.

        Args:
            trial: number of the trial.
            scale: multiplies the noise.
            layers: factors on the noise of each array [arrays], of a model that takes them; None: all 1.

        Raises:
            UsageError: the data or the labels do not suit the metric.
            ModelError: the runtime failed.
        """
        total = self._metric.start()
        for index, (batch, output) in enumerate(self.outputs(trial, scale, layers)):
            clean = self._clean_outputs()[index] if self._metric.needs_clean else None
            total.add(output, batch.labels, clean)
        return total.value()

    def outputs(self, trial: int, scale: float, layers: Array | None = None) -> Iterator[tuple[Batch, Array]]:
        """The output that the metric judges, batch by batch; see `measure`."""
        for index, batch in enumerate(self._batches()):
            draw = index if self._measurement.redraw == "batch" else 0
            run = trial * len(self._data) + index  # what devices draw at every run is never drawn twice
            yield batch, self._run(batch, trial * self._draws + draw, scale, run, layers)

    @property
    def _draws(self) -> int:
        """Noise samples per trial."""
        return len(self._data) if self._measurement.redraw == "batch" else 1

    def _run(self, batch: Batch, trial: int, scale: float, run: int = 0, layers: Array | None = None) -> Array:
        (result,) = self._noisy.run([self._output], batch.feeds, trial, scale, run=run, layers=layers)
        output = batch.cut(result)
        if output.ndim == 0 or len(output) != batch.size:
            raise UsageError(
                f"output {self._output!r} has shape {list(output.shape)} for {batch.size} samples",
                hint="choose an output with one row per sample",
            )
        return output

    def _clean_outputs(self) -> list[Array]:
        if self._clean is None:
            self._clean = [self._run(batch, 0, 0.0) for batch in self._batches()]
        return self._clean

    def _batches(self) -> Iterable[Batch]:
        """The batches, prepared once when they fit in memory."""
        if self._cached is not None:
            return self._cached
        first = next(iter(self._data))
        if sum(array.nbytes for array in first.feeds.values()) * len(self._data) > _CACHE_LIMIT:
            return self._data
        self._cached = list(self._data)
        return self._cached


class Evaluators:
    """Opens evaluators, and keeps the last one: points come model by model."""

    def __init__(self, measurement: Measurement) -> None:
        self._measurement = measurement
        self._last: Evaluator | None = None

    def get(self, model: NoisyModel) -> Evaluator:
        """The evaluator of a model."""
        if self._last is None or self._last.model != model:
            self.close()  # before there is a new one
            self._last = Evaluator(self._measurement, model)
        return self._last

    def close(self) -> None:
        """Let the last session go."""
        self._last = None
