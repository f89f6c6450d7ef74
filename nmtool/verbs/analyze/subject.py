"""The model that is analysed: its noisy layers, and what it measures with noise in some of them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nmtool import model as model_files
from nmtool import provenance
from nmtool.checks.declared import noise_of
from nmtool.passes.inject_noise import InjectNoise
from nmtool.passes.layer_scales import LayerScales
from nmtool.passes.noisy_layers import NoisyLayer
from nmtool.passes.report import CoverageReport
from nmtool.passes.strip_noise import StripNoise
from nmtool.verbs.analyze.journal import Journal
from nmtool.verbs.sweep.evaluate import Evaluator, Measurement
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


class Subject:
    """A noisy model whose layers have factors on their noise.

    Attributes:
        noisy: the model as a sweep has it.
        measurement: the data, the metric and the backend.
        model: the same with factors.
        layers: its noisy arrays, in graph order.
        found: the same as `LayerScales` found them, in the same order.
        source: the model without noise.
        coverage: what injection makes of all that is analog in the source, whether it is noisy here or not.
        dynamic: whether products of two activations are among them.
        eta: strength of the noise that is analysed.
        seed: of the noise.
        journal: of measurements.
    """

    def __init__(self, noisy: NoisyModel, folder: Path, measurement: Measurement, journal: Journal, eta: float) -> None:
        """Prepare the model.

        Args:
            noisy: the model.
            folder: for temporary files.
            measurement: the data, the metric and the backend.
            journal: of measurements.
            eta: strength of the noise.

        Raises:
            ModelError: the model cannot be read or run.
            UsageError: the data does not fit.
        """
        self.noisy, self.eta, self.journal = noisy, eta, journal
        self.measurement = measurement
        self._evaluators: dict[str, tuple[Evaluator, dict[str, Any]]] = {}
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

    def evaluator(self, metric: str | None = None) -> Evaluator:
        """The session with factors, its data and a metric; None: that of the analysis."""
        return self._evaluator(metric)[0]

    def setting(self, metric: str | None = None) -> dict[str, Any]:
        """What determines measured values besides the point."""
        return self._evaluator(metric)[1]

    def factors(self, noisy: Collection[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Factors on the noise: 1 for the layers of these numbers, 0 for the others."""
        return np.array([float(number in noisy) for number in range(len(self.layers))], np.float32)

    def metric(self, trial: int, noisy: Collection[int], metric: str | None = None, eta: float | None = None) -> float:
        """The metric with noise in some layers.

        Args:
            trial: number of the trial.
            noisy: numbers of the layers with noise.
            metric: name of a metric; None: that of the analysis.
            eta: strength of the noise; None: that of the analysis.
        """
        scale = self.scale if eta is None else self.noisy.scale(eta)
        value = self.journal.measured(
            self.setting(metric),
            self.point(trial, noisy, scale),
            lambda: self.evaluator(metric).measure(trial, scale, self.factors(noisy)),
        )
        return float(value)

    def point(self, trial: int, noisy: Collection[int], scale: float) -> dict[str, Any]:
        """How the journal names a measurement of the metric."""
        if not noisy:
            return {"part": "metric", "only": []}
        rest = set(range(len(self.layers))) - set(noisy)
        kind, named = ("without", rest) if len(rest) < len(noisy) else ("only", set(noisy))
        names = [self.layers[number].array for number in sorted(named)]
        return {"part": "metric", kind: names, "scale": scale, "trial": trial}

    def summary(
        self, trials: int, noisy: Collection[int], metric: str | None = None, eta: float | None = None
    ) -> Summary:
        """The metric over trials, with its 95 % interval."""
        return summarize([self.metric(trial, noisy, metric, eta) for trial in range(trials)])

    def _evaluator(self, metric: str | None) -> tuple[Evaluator, dict[str, Any]]:
        name = metric or self.measurement.metric
        if name not in self._evaluators:
            model = replace(self.noisy, file=self.file)
            evaluator = Evaluator(replace(self.measurement, metric=name), model)
            self._evaluators[name] = evaluator, asdict(evaluator.setting())
        return self._evaluators[name]


def _layer(layer: NoisyLayer, report: CoverageReport) -> Layer:
    rows = [row for row in report.nodes if row.name in layer.nodes and row.array in (layer.array, "")]
    macs = [row.macs for row in rows]
    known = sum(count for count in macs if count is not None) if macs and None not in macs else None
    return Layer(layer.array, layer.nodes, max((row.weights for row in rows), default=0), known)
