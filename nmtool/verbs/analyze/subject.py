"""The model that is analysed: its noisy layers, and what it measures with noise in some of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nmtool import model as model_files
from nmtool import provenance
from nmtool.checks.declared import noise_of
from nmtool.executors import Executor, Work
from nmtool.executors.executor import Task
from nmtool.passes.inject_noise import InjectNoise
from nmtool.passes.layer_scales import LayerScales
from nmtool.passes.noisy_layers import NoisyLayer
from nmtool.passes.report import CoverageReport
from nmtool.passes.strip_noise import StripNoise
from nmtool.verbs.analyze.journal import Entry, Journal
from nmtool.verbs.sweep.evaluate import Evaluator, Evaluators, Measurement
from nmtool.verbs.sweep.execute import Evaluation
from nmtool.verbs.sweep.models import NoisyModel
from nmtool.verbs.sweep.statistics import Summary, summarize

Progress = Callable[[int, int, str], None]
"""Called with what is done of a part of the analysis, all there is of it, and the name of the part."""


@dataclass(frozen=True)
class Layer:
    """A noisy array.

    Attributes:
        array: its name.
        nodes: the nodes that multiply with it, in graph order.
        weights: number of its weights, 0 for an activation.
        macs: multiply-accumulates of these nodes with it, per sample; None where they are not known.
    """

    array: str
    nodes: tuple[str, ...]
    weights: int
    macs: int | None

    @property
    def node(self) -> str:
        """The first node: what the layer is called."""
        return self.nodes[0]


@dataclass(frozen=True)
class Draw:
    """A task: a model with one noise sample.

    Attributes:
        model: its label.
        trial: number of the noise sample.
        scale: what the model's scale input is fed.
        factors: on the noise of each array, of a model that takes them.
    """

    model: str
    trial: int
    scale: float
    factors: tuple[float, ...] | None = None


@dataclass(frozen=True)
class _Measured:
    """A metric of the model: its work, and what determines its values besides the task."""

    work: Evaluation[Draw, float]
    setting: dict[str, Any]


class Subject:
    """A noisy model whose layers have factors on their noise.

    Attributes:
        noisy: the model as a sweep has it.
        measurement: the data, the metric and the backend.
        local: the same for what is done in this process, whoever the workers are.
        workers: what does independent tasks.
        model: the noisy model with factors.
        layers: its noisy arrays, in graph order.
        found: the same as `LayerScales` found them, in the same order.
        source: the model without noise.
        coverage: what injection makes of all that is analog in the source, whether it is noisy here or not.
        dynamic: whether products of two activations are among them.
        eta: strength of the noise that is analysed.
        seed: of the noise.
        journal: of measurements.
        labelled: whether the data has labels.
        runtime: name and version of what runs the model.
    """

    def __init__(
        self,
        noisy: NoisyModel,
        folder: Path,
        measurement: Measurement,
        journal: Journal,
        workers: Executor,
        eta: float,
    ) -> None:
        """Prepare the model.

        Args:
            noisy: the model.
            folder: for temporary files.
            measurement: the data, the metric and the backend.
            journal: of measurements.
            workers: what does independent tasks.
            eta: strength of the noise.

        Raises:
            ModelError: the model cannot be read or run.
            UsageError: the data does not fit.
        """
        self.noisy, self.eta, self.journal, self.workers = noisy, eta, journal, workers
        self.measurement = measurement
        self.local = measurement if workers.here else measurement.anywhere()
        self._metrics: dict[str, _Measured] = {}
        scales = LayerScales()
        self.model = model_files.load(noisy.file)
        self.source = StripNoise()(self.model.clone()).model
        scales(self.model)
        self.found: Sequence[NoisyLayer] = scales.layers
        self.file = folder / "layers.onnx"
        model_files.save(self.model, self.file)
        self.dynamic = bool(noisy.provenance.noise.get("dynamic"))
        inject = InjectNoise(noise_of(noisy.provenance), dynamic=self.dynamic)
        inject(self.source.clone())
        self.coverage: CoverageReport = inject.report
        self.layers = tuple(_layer(layer, inject.report) for layer in self.found)
        self.seed = noisy.provenance.seed
        self._measured(None)

    @property
    def scale(self) -> float:
        """What the model's scale input is fed."""
        return self.noisy.scale(self.eta)

    @property
    def inputs(self) -> dict[str, str]:
        """Names of the model's run-time inputs of the noise, by kind."""
        record = provenance.read(self.model)
        known = {} if record is None else record.inputs
        return {kind: name for kind, name in known.items() if name in self.model.graph.initializers}

    def setting(self, metric: str | None = None) -> dict[str, Any]:
        """What determines values of a metric besides the point; None: the metric of the analysis."""
        return self._measured(metric).setting

    def gathered(
        self, work: Work[Task, Any], entries: Mapping[Task, Entry], progress: Progress, part: str
    ) -> dict[Task, Any]:
        """The values of tasks that workers do for a part of the analysis; see Journal.gathered."""
        return self.journal.gathered(self.workers, work, entries, lambda done, total: progress(done, total, part))

    def metrics(
        self,
        cases: Sequence[tuple[int, Collection[int]]],
        metric: str | None = None,
        progress: Progress = lambda done, total, part: None,
        part: str = "",
    ) -> list[float]:
        """The metric in several cases.

        Args:
            cases: number of the trial, and numbers of the layers with noise.
            metric: name of a metric; None: that of the analysis.
            progress: called after each case; equal ones are measured once.
            part: of the analysis, for `progress`.
        """
        measured = self._measured(metric)
        draws = [self._draw(trial, noisy) for trial, noisy in cases]
        points = {draw: self._point(trial, noisy) for draw, (trial, noisy) in zip(draws, cases, strict=True)}
        entries = {draw: (measured.setting, point) for draw, point in points.items()}
        values = self.gathered(measured.work, entries, progress, part)
        return [float(values[draw]) for draw in draws]

    def metric(self, trial: int, noisy: Collection[int], metric: str | None = None) -> float:
        """The metric in a trial with noise in the layers of these numbers."""
        return self.metrics([(trial, noisy)], metric)[0]

    def summary(self, trials: int, noisy: Collection[int], metric: str | None = None) -> Summary:
        """The metric over trials, with its 95 % interval."""
        return summarize(self.metrics([(trial, noisy) for trial in range(trials)], metric))

    def _draw(self, trial: int, noisy: Collection[int]) -> Draw:
        factors = tuple(float(number in noisy) for number in range(len(self.layers)))
        return Draw(self.noisy.label, trial if noisy else 0, self.scale, factors)

    def _point(self, trial: int, noisy: Collection[int]) -> dict[str, Any]:
        """How the journal names it."""
        if not noisy:
            return {"part": "metric", "only": []}
        rest = set(range(len(self.layers))) - set(noisy)
        kind, named = ("without", rest) if len(rest) < len(noisy) else ("only", set(noisy))
        names = [self.layers[number].array for number in sorted(named)]
        return {"part": "metric", kind: names, "scale": self.scale, "trial": trial}

    def _measured(self, metric: str | None) -> _Measured:
        name = metric or self.measurement.metric
        if name not in self._metrics:
            model = replace(self.noisy, file=self.file)
            measurement = replace(self.measurement, metric=name)
            work = Evaluation(measurement, {model.label: model}, _metric)
            local = work.evaluators if self.workers.here else Evaluators(measurement.anywhere())
            evaluator = local.get(model)
            self._metrics[name] = _Measured(work, asdict(evaluator.setting()))
            self.labelled, self.runtime = evaluator.labelled, evaluator.runtime
        return self._metrics[name]


def _metric(evaluator: Evaluator, draw: Draw) -> float:
    return evaluator.measure(draw.trial, draw.scale, np.array(draw.factors, np.float32))


def _layer(layer: NoisyLayer, report: CoverageReport) -> Layer:
    rows = [row for row in report.nodes if row.name in layer.nodes and row.array in (layer.array, "")]
    macs = [row.macs for row in rows]
    known = sum(count for count in macs if count is not None) if macs and None not in macs else None
    return Layer(layer.array, layer.nodes, max((row.weights for row in rows), default=0), known)
