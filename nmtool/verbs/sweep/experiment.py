"""`nmtool sweep`: a metric against the noise level."""

import importlib.metadata
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nmtool import backends, executors
from nmtool.data import DataOptions, DataSource
from nmtool.executors import Executor
from nmtool.hardware import AnalogNoise, at_strength_one, strength
from nmtool.metrics import find
from nmtool.verbs.sweep.evaluate import Evaluator, Evaluators, Measurement, Redraw
from nmtool.verbs.sweep.execute import Evaluation, evaluate
from nmtool.verbs.sweep.models import ModelSources, prepare, vary
from nmtool.verbs.sweep.plan import parse_etas, points
from nmtool.verbs.sweep.result import SweepResult
from nmtool.verbs.sweep.store import Record, Setting, Store

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the evaluations done and all there are to do in this call."""


def sweep(
    models: ModelSources,
    data: DataSource,
    *,
    etas: str | Iterable[float] | None = None,
    noise: str | AnalogNoise = "gaussian",
    over: str | None = None,
    seed: int = 0,
    trials: int = 10,
    redraw: Redraw = "set",
    metric: str = "top1",
    output: str | None = None,
    results: str | os.PathLike[str] | None = None,
    executor: str | Executor = executors.PROCESSES,
    jobs: int | None = None,
    threads: int | None = None,
    backend: str = "onnxruntime",
    data_options: DataOptions | None = None,
    progress: Progress | None = None,
    injection: Mapping[str, Any] | None = None,
    **backend_options: Any,
) -> SweepResult:
    """Measure a metric over noise levels and trials.

    A plain model is made noisy once; levels are then fed to its scale input, so that one session serves them all. Trial
    t has noise sample t of the model's seed, whatever else is measured, and the clean model is evaluated once.

    Args:
        models: a model or several, in a list or by label; plain ones, or ones made noisy before: for those `noise`,
            `seed` and `injection` have no meaning and `etas` are in the units of their own noise.
        data: the data source.
        etas: noise levels, numbers or a text as "0:0.1:0.01" or "0,0.02,0.05"; see `parse_etas`. 0 is always included.
            None: 0:0.1:0.01, and 1 for devices and hardware.
        noise: name of a noise model or device, one with parameters (its eta is not used), or hardware.
        over: a value of the hardware that takes several values, as "time=1s,1h,1d" or "weights.readout_noise=0,0.01";
            every model then is measured with each.
        seed: of the noise.
        trials: noise samples per level.
        redraw: "set": a trial is one draw for the whole data set, as one chip has it; "batch": batch b of trial t has
            noise sample t * batches + b.
        metric: name of a metric, top<k>, or "module:function".
        output: the output that the metric judges; None: the first.
        results: file that every evaluation is appended to (JSON lines). What it already holds of this sweep is not
            evaluated again: this is how an interrupted sweep goes on, and how trials and levels are added.
        executor: what does the evaluations: "processes" of this machine, or "ray://HOST:PORT", "dask://HOST:PORT"; see
            `executors.connect`.
        jobs: workers. With more than one, data and metric functions must be importable. None: one process; on a cluster
            one for each machine, or for each GPU with device cuda.
        threads: threads of all workers together; None: one per core.
        backend: one of `nmtool.backends.names()`.
        data_options: how to read and prepare the data.
        progress: called after every evaluation.
        injection: further options of `nmtool.inject` for plain models, such as {"skip_last": 1}.
        backend_options: of the backend, for onnxruntime those of `nmtool.session`.

    Raises:
        UsageError: an option, the data or the results file does not fit.
        ModelError: a model cannot be read, made noisy or run.
        SetupError: something is not installed, a cluster does not answer, or three workers died at one evaluation.
    """
    version = importlib.metadata.version("nmtool")
    chosen = at_strength_one(noise, (injection or {}).get("relative_to"))
    levels = parse_etas(etas if etas is not None else "0:0.1:0.01" if strength(chosen, None) != 1 else "0,1")
    variants = vary(chosen, over) if over else {"": chosen}
    gpu = backend_options.get("device") == "cuda"
    with (
        executors.connect(executor, jobs=jobs, threads=threads, gpu=gpu) as workers,
        TemporaryDirectory(prefix="nmtool-") as folder,
        Store(Path(results) if results else None) as store,
    ):
        if backends.takes(backend, "threads"):
            backend_options["threads"] = workers.threads
        measurement = Measurement(data, data_options or DataOptions(), metric, output, redraw, backend, backend_options)
        noisy = prepare(models, Path(folder), seed, variants, injection or {})
        by_label = {model.label: model for model in noisy}
        work = Evaluation(measurement, by_label, evaluate)
        checking = work.evaluators if workers.here else Evaluators(measurement.anywhere())
        settings = {model.label: _check(checking.get(model), store, trials) for model in noisy}
        plan = points(settings, levels, trials)
        todo = [point for point in plan if point not in store.records]
        if not workers.here:
            checking.close()
        with closing(workers.run(work, todo)) as outcomes:
            for done, (point, outcome) in enumerate(outcomes, start=1):
                scale = by_label[point.model].scale(point.eta)
                store.append(Record(settings[point.model], point, scale, nmtool=version, **vars(outcome)))
                if progress is not None:
                    progress(done, len(todo))
    order = list(by_label)
    plan.sort(key=lambda point: (order.index(point.model), point.eta, point.trial))
    records = [store.records[point] for point in plan]
    return SweepResult(metric, find(metric).higher_is_better, records, [key for key in variants if key])


def _check(evaluator: Evaluator, store: Store, trials: int) -> Setting:
    """Find the mistakes that can be found before the first evaluation.

    Raises:
        UsageError: too many trials, or the results file is of another experiment.
    """
    evaluator.check_trials(trials)
    setting = evaluator.setting()
    store.check(setting)
    if not evaluator.model.provenance.exact and not evaluator.library:
        logger.warning(
            "%s: below opset 18 and without the operator library the noise is the runtime's own: every batch has "
            "another draw, and no trial can be repeated",
            evaluator.model.label,
        )
    return setting
