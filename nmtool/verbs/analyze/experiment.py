"""`nmtool analyze`: where noise costs what."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nmtool import backends, executors
from nmtool.checks.gates import parse
from nmtool.data import DataOptions, DataSource
from nmtool.errors import UsageError
from nmtool.executors import Executor
from nmtool.hardware import AnalogNoise, at_strength_one, strength
from nmtool.metrics import find
from nmtool.noise.base import require_non_negative
from nmtool.verbs.analyze.information import curves
from nmtool.verbs.analyze.journal import Journal
from nmtool.verbs.analyze.layer_information import layer_bits
from nmtool.verbs.analyze.precision import Cost, advise
from nmtool.verbs.analyze.result import Analysis, Information, Settings
from nmtool.verbs.analyze.sensitivity import sensitivities
from nmtool.verbs.analyze.snr import signals
from nmtool.verbs.analyze.subject import Subject
from nmtool.verbs.sweep.evaluate import Measurement
from nmtool.verbs.sweep.models import ModelSources, prepare
from nmtool.verbs.sweep.plan import parse_etas

PARTS = ("sensitivity", "snr", "information", "precision")
_CURVE = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)  # strengths of a curve of information, relative to that of the analysis


def analyze(
    models: ModelSources,
    data: DataSource,
    *,
    parts: str | Sequence[str] | None = None,
    eta: float | None = None,
    noise: str | AnalogNoise = "gaussian",
    seed: int = 0,
    trials: int = 10,
    metric: str = "top1",
    output: str | None = None,
    budget: int | None = None,
    gradient: int = 128,
    curve: str | Iterable[float] | None = None,
    draws: int = 50,
    gate: str | None = None,
    cost: Cost = "macs",
    results: str | os.PathLike[str] | None = None,
    executor: str | Executor = executors.PROCESSES,
    jobs: int | None = None,
    backend: str = "onnxruntime",
    threads: int | None = None,
    data_options: DataOptions | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    injection: Mapping[str, Any] | None = None,
    **backend_options: Any,
) -> Analysis:
    """Find out which layers of a model noise hurts, what is left of signal and information, and what to keep digital.

    Args:
        models: a model or several, in a list or by label, plain or made noisy before. The first is analysed; all are
            compared in their information.
        data: the data source.
        parts: some of "sensitivity", "snr", "information" and "precision", in a list or with commas between. None: the
            first two, information where the data has labels, precision where there is a gate.
        eta: strength of the noise. None: that of a noisy model; of a plain one the default of its noise, 0.05 of noise
            models and 1 of devices and hardware.
        noise: of plain models: name of a noise model or device, one with parameters (its eta is not used), or hardware.
        seed: of the noise of plain models.
        trials: noise samples of sensitivities, signals and advice. Each is one draw for the whole data set.
        metric: name of a metric, top<k>, or "module:function".
        output: the output that is judged; None: the first.
        budget: measure only so many layers, those with the largest estimates from gradients; None: all.
        gradient: backward passes of these estimates; 0: none.
        curve: strengths of the noise at which information is measured, as in `sweep`; None: 0 to twice `eta`.
        draws: noise samples of information at each strength.
        gate: condition that the advice is to meet, as "top1>=0.95".
        cost: what digital layers cost, "macs" or "weights".
        results: file that every measurement is appended to (JSON lines). What it already holds of this analysis is not
            measured again.
        executor: what does the measurements: "processes" of this machine, or "ray://HOST:PORT", "dask://HOST:PORT"; see
            `executors.connect`. Estimates from gradients, and the information of layers, are made in this process.
        jobs: workers, as in `sweep`. None: one process; on a cluster one for each machine, or for each GPU with device
            cuda.
        backend: one of `nmtool.backends.names()`.
        threads: of all workers together; None: one per core.
        data_options: how to read and prepare the data.
        progress: called with what is done of a part, all there is of it, and the part's name.
        injection: further options of `nmtool.inject` for plain models, such as {"skip_last": 1}.
        backend_options: of the backend.

    Raises:
        UsageError: an option or the data does not fit.
        ModelError: a model cannot be read, made noisy or run.
        SetupError: something is not installed, a cluster does not answer, or three workers died at one measurement.
    """
    _require(trials, draws, gradient, budget, cost)
    chosen = at_strength_one(noise, (injection or {}).get("relative_to"))
    show = progress or (lambda done, total, part: None)
    notes: list[str] = []
    gpu = backend_options.get("device") == "cuda"
    with (
        executors.connect(executor, jobs=jobs, threads=threads, gpu=gpu) as workers,
        TemporaryDirectory(prefix="nmtool-") as name,
        Journal(Path(results) if results else None) as journal,
    ):
        if backends.takes(backend, "threads"):
            backend_options["threads"] = workers.threads
        measurement = Measurement(data, data_options or DataOptions(), metric, output, "set", backend, backend_options)
        folder = Path(name)
        noisy = prepare(models, folder, seed, {"": chosen}, injection or {})
        first = noisy[0]
        level = eta if eta is not None else strength(chosen, None) if first.plain else first.provenance.eta
        require_non_negative(str(first.provenance.noise["model"]), eta=level)
        subject = Subject(first, folder, measurement, journal, workers, level)
        wanted = _parts(parts, subject, gate)
        found: dict[str, Any] = dict.fromkeys(PARTS)
        if "snr" in wanted:
            found["snr"] = signals(subject, trials, folder, notes, show)
        if "sensitivity" in wanted:
            found["sensitivity"] = sensitivities(subject, trials, budget, gradient, notes, show)
        if "information" in wanted:
            etas = parse_etas(curve if curve is not None else [level * part for part in _CURVE])
            bits, labels = curves(noisy, subject, etas, draws, show)
            found["information"] = Information(bits, labels, layer_bits(subject, draws, folder, notes, show))
        if "precision" in wanted:
            assert gate is not None  # _parts has seen to it
            placed = {"dynamic": subject.dynamic}
            found["precision"] = advise(subject, parse(gate), cost, trials, placed, notes, show)
        setting = subject.setting()
        everything = range(len(subject.layers))
        measured = {"sensitivity", "precision"} & wanted
        settings = Settings(
            noise=first.provenance.noise,
            eta=level,
            seed=subject.seed,
            trials=trials,
            metric=metric,
            higher_is_better=find(metric).higher_is_better,
            samples=setting["samples"],
            data_digest=setting["data_sha256"],
            runtime=subject.runtime,
            clean=subject.metric(0, ()),
            noisy=subject.summary(trials, everything) if measured else None,
        )
    path = _path(models, first.label)
    return Analysis(first.label, path, first.sha256, settings, notes=notes, **found)


def _require(trials: int, draws: int, gradient: int, budget: int | None, cost: str) -> None:
    for name, value, least in (("trials", trials, 1), ("draws", draws, 2), ("gradient", gradient, 0)):
        if value < least:
            raise UsageError(f"{name} must be at least {least}, not {value}")
    if budget is not None and budget < 1:
        raise UsageError(f"budget must be at least 1, not {budget}")
    if cost not in ("macs", "weights"):
        raise UsageError(f"cost must be macs or weights, not {cost!r}")


def _parts(parts: str | Sequence[str] | None, subject: Subject, gate: str | None) -> set[str]:
    """The parts to do."""
    if parts is None:
        return (
            {"sensitivity", "snr"}
            | ({"information"} if subject.labelled else set())
            | ({"precision"} if gate else set())
        )
    wanted = [part.strip() for part in (parts.split(",") if isinstance(parts, str) else parts)]
    for part in wanted:
        if part not in PARTS:
            raise UsageError(f"an analysis has no part {part!r}", hint=f"choose of {', '.join(PARTS)}")
    if not wanted:
        raise UsageError("nothing to analyse", hint=f"choose of {', '.join(PARTS)}")
    if "precision" in wanted and gate is None:
        raise UsageError("advice needs a gate to meet", hint="--gate 'top1>=0.95'")
    return set(wanted)


def _path(models: ModelSources, label: str) -> str | None:
    """The file of the first model."""
    if isinstance(models, Mapping):
        models = models[label]
    elif isinstance(models, Sequence) and not isinstance(models, str):
        models = models[0]
    return os.fspath(models) if isinstance(models, (str, os.PathLike)) else None
