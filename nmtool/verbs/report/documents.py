"""What commands record as JSON (--json, --record), as far as the report shows it: a dataclass for each schema.

Values that JSON has as null are None. Keys that are not here are ignored: newer versions of nmtool add some.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nmtool.errors import UsageError
from nmtool.passes.report import CoverageReport
from nmtool.verbs.sweep.statistics import Summary, summarize
from nmtool.verbs.sweep.store import Record


@dataclass(frozen=True)
class Injected:
    """Of `inject`."""

    output: str
    report: CoverageReport


@dataclass(frozen=True)
class Swept:
    """Of `sweep`; its tolerances are computed anew."""

    metric: str
    higher_is_better: bool
    points: tuple[Record, ...]


@dataclass(frozen=True)
class Finding:
    """One finding of a rule."""

    severity: Literal["error", "warning", "not checked", "note"]
    message: str
    fix: str = ""


@dataclass(frozen=True)
class RuleOutcome:
    """What became of one rule."""

    code: str
    title: str
    status: Literal["error", "warning", "not checked", "passed"]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Checked:
    """Of `check`."""

    model: str
    passed: bool
    rules: tuple[RuleOutcome, ...]
    model_sha256: str | None = None
    against_sha256: str | None = None
    alpha: float | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Scores:
    """The validation metric without noise, and under each noise sample."""

    clean: float | None
    noisy: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.noisy:
            raise UsageError("there are no values under noise")

    @property
    def summary(self) -> Summary:
        """Mean and interval under noise."""
        return summarize(self.noisy)


@dataclass(frozen=True)
class Written:
    """The files of a training."""

    files: tuple[str, ...]


@dataclass(frozen=True)
class Distilled:
    """Of `distill`."""

    report: Written
    steps: int
    best_step: int
    metric: str
    eta: float
    run_dir: str
    before: Scores | None = None
    after: Scores | None = None
    rounded: Scores | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A mean over noise samples with its 95 % interval."""

    mean: float | None
    low: float | None = None
    high: float | None = None
    trials: int | None = None


@dataclass(frozen=True)
class LayerSensitivity:
    """The metric with noise in one array only, and in all others."""

    layer: str
    array: str
    rank: int
    weights: int
    macs: int | None = None
    only: Estimate | None = None
    all_but: Estimate | None = None
    gradient: float | None = None


@dataclass(frozen=True)
class LayerSignal:
    """Signal against noise behind a layer: of all the noise before it, and of its own alone."""

    layer: str
    propagated_db: float | None = None
    injected_db: float | None = None
    propagated_bits: float | None = None
    injected_bits: float | None = None


@dataclass(frozen=True)
class InformationPoint:
    """Mutual information in bits at a strength of the noise."""

    eta: float
    read_bits: float | None = None
    chip_bits: float | None = None
    label_bits: float | None = None
    label_chip_bits: float | None = None
    low: float | None = None
    high: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class InformationCurve:
    """Of one model."""

    name: str
    curve: tuple[InformationPoint, ...]


@dataclass(frozen=True)
class Draws:
    """Estimates of the information under read noise from the first noise samples, in bits."""

    trials: int
    plugin_bits: float | None = None
    read_bits: float | None = None


@dataclass(frozen=True)
class Convergence:
    """Of one model at its strongest noise, by the number of noise samples."""

    name: str
    eta: float
    draws: tuple[Draws, ...] = ()


@dataclass(frozen=True)
class LayerInformation:
    """A lower bound of what a layer's noisy output says about the input, in bits."""

    layer: str
    infonce_bits: float | None = None
    linear_low_bits: float | None = None
    linear_high_bits: float | None = None


@dataclass(frozen=True)
class Information:
    """Information that is left under noise."""

    models: tuple[InformationCurve, ...] = ()
    convergence: tuple[Convergence, ...] = ()
    layers: tuple[LayerInformation, ...] = ()
    label_entropy_bits: float | None = None
    input_bits: float | None = None


@dataclass(frozen=True)
class PrecisionStep:
    """Layers made digital, or analog again, and the metric after it; no layers at the start."""

    metric: Estimate
    layers: tuple[str, ...] = ()
    action: str = "digital"
    mac_share_analog: float | None = None
    weight_share_analog: float | None = None


@dataclass(frozen=True)
class Precision:
    """Which layers should stay digital."""

    gate: str
    digital: tuple[str, ...] = ()
    steps: tuple[PrecisionStep, ...] = ()
    cost: str = "macs"
    met: bool | None = None
    confirmation: Estimate | None = None
    profile: str | None = None


@dataclass(frozen=True)
class AnalyzedModel:
    """Whose analysis it is."""

    name: str
    digest: str | None = None


@dataclass(frozen=True)
class AnalysisSettings:
    """What the analysis was made with."""

    metric: str
    higher_is_better: bool = True
    noise: Mapping[str, Any] = field(default_factory=dict)
    eta: float | None = None
    seed: int | None = None
    trials: int | None = None
    samples: int | None = None
    clean: float | None = None
    noisy: Estimate | None = None


@dataclass(frozen=True)
class Analyzed:
    """Of `analyze`; parts that were not asked for are absent."""

    model: AnalyzedModel
    settings: AnalysisSettings
    notes: tuple[str, ...] = ()
    sensitivity: tuple[LayerSensitivity, ...] = ()
    gradient_rank_correlation: float | None = None
    snr: tuple[LayerSignal, ...] = ()
    information: Information | None = None
    precision: Precision | None = None


SCHEMAS: dict[str, type] = {
    "nmtool.inject/1": Injected,
    "nmtool.sweep/1": Swept,
    "nmtool.sweep-result/1": Swept,
    "nmtool.check/1": Checked,
    "nmtool.distill/1": Distilled,
    "nmtool.analysis/1": Analyzed,
    "nmtool.analyze/1": Analyzed,
}
