"""`nmtool distill`: train a noise-tolerant model, and write it into the original ONNX graph."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nmtool import provenance, recipes
from nmtool.data import DataOptions, DataSource
from nmtool.errors import UsageError
from nmtool.hardware import AnalogNoise, at_strength_one, strength
from nmtool.interpreter import require_torch
from nmtool.model import ModelSource
from nmtool.passes.selection import Selection
from nmtool.recipes import Recipe
from nmtool.reimport import ReimportReport, Source, reimport
from nmtool.verbs.sweep.statistics import Summary, summarize

if TYPE_CHECKING:
    from nmtool.training.checkpoint import Progress, Scores
    from nmtool.training.session import Session

TrainingProgress = Callable[[int, int, Mapping[str, float]], None]
"""Called with the steps done, all there are, and numbers of the last one: loss, eta, …

Before the first step, while the teacher's outputs are computed ahead: with the samples done, all there are, and no
numbers.
"""


@dataclass(frozen=True)
class Distillation:
    """A trained model.

    Attributes:
        report: which arrays changed, and the files that were written.
        steps: how many were made.
        best_step: the one whose weights were kept.
        metric: name of the validation metric.
        eta: strength of the noise in validation.
        before: scores of the original weights on the validation samples; None without validation.
        after: scores of the best weights, in the precision of the training.
        rounded: their scores in the types of the file; None where these hold them exactly.
        notes: what the user must know.
        run_dir: folder with the log and the last checkpoint.
    """

    report: ReimportReport
    steps: int
    best_step: int
    metric: str
    eta: float
    before: "Scores | None"
    after: "Scores | None"
    rounded: "Scores | None"
    notes: tuple[str, ...]
    run_dir: Path

    def interval(self, scores: "Scores") -> Summary:
        """Mean and 95 % interval of scores under noise."""
        return summarize(scores.noisy)

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON-serialisable dict."""
        return {**asdict(self), "report": self.report.to_json(), "run_dir": str(self.run_dir)}


def distill(
    model: Source,
    data: DataSource,
    output: str | os.PathLike[str],
    *,
    eta: float | None = None,
    recipe: str | os.PathLike[str] | Recipe = "distill",
    settings: Mapping[str, Any] | None = None,
    noise: str | AnalogNoise = "gaussian",
    relative_to: Literal["range", "max", "std"] | None = None,
    per_channel: bool = False,
    seed: int = 0,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    include_ops: Sequence[str] = (),
    exclude_ops: Sequence[str] = (),
    skip_first: int = 0,
    skip_last: int = 0,
    dynamic: bool = False,
    teacher: "Sequence[ModelSource]" = (),
    teacher_engine: Literal["onnxruntime", "torch"] = "onnxruntime",
    engine: Literal["torch", "ort"] = "torch",
    student: "Source | None" = None,
    loss: Sequence[str] = (),
    metric: str | None = None,
    validation: float = 0.1,
    validation_data: DataSource | None = None,
    validation_trials: int = 4,
    validate_every: int = 1,
    patience: int | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_every: int = 500,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    amp: bool = False,
    compile: bool = False,  # noqa: A002 - the name of torch's function, and of the option
    workers: int = 0,
    threads: int | None = None,
    data_options: DataOptions | None = None,
    progress: TrainingProgress | None = None,
    force: bool = False,
) -> Distillation:
    """Train a model to bear analog noise on its weights (Zhou et al. 2020, arXiv:2001.04974, and later work).

    The student is the model with the noise that `inject` puts on it, new in every step, sized by the weights of that
    step; the gradient is taken through the noisy weights and moves the clean ones. The teacher is the model without
    noise. What validates best under noise is written into the original graph: only values of weights change. Before the
    file is put in place, ONNX Runtime and torch are compared on it.

    Several processes (torchrun) share the work: each takes micro-batches and noise samples of its own.

    Args:
        model: the ONNX file (or ModelProto) to make tolerant.
        data: samples to train on, with labels where the loss or the metric needs them.
        output: the ONNX file to write.
        eta: strength of the noise that the model shall bear; see `inject`. None: 0.05, and 1 for devices and hardware.
        recipe: how to train: a name, a TOML file, or a Recipe.
        settings: settings of the recipe to replace, by name.
        noise: noise model, by name or with its parameters (its eta is not used).
        relative_to: what eta of `gaussian` is relative to; see `inject`.
        per_channel: size the noise by each output channel.
        seed: of everything random.
        include: see `inject`, as the following.
        exclude: name globs of nodes to keep digital.
        include_ops: operator types; when given, only these are noisy.
        exclude_ops: operator types to keep digital.
        skip_first: number of first analog nodes to keep digital.
        skip_last: number of last analog nodes to keep digital.
        dynamic: also make the right operand of products of two activations noisy.
        teacher: other teachers; several are averaged. None: the model itself.
        teacher_engine: what runs the teacher.
        engine: what trains: torch, or onnxruntime-training (experimental; docs/commands/engine.md).
        student: another ONNX model to train, with the model as its teacher.
        loss: `[VALUE=]KIND[:WEIGHT]` each, KIND of distillation, mse, cosine, features; VALUE an output or a value
            inside the graph. None: distillation of outputs that are logits, mse of others.
        metric: what selects the weights, of `nmtool list metrics`. None: top1, or agreement without labels; mse where
            the loss is not distillation.
        validation: share of the data that is held out, balanced by class.
        validation_data: samples to validate on instead.
        validation_trials: noise samples of a validation, of a seed of their own.
        validate_every: epochs between validations.
        patience: validations without improvement after which training ends.
        run_dir: folder for the log and the checkpoint; None: named after the output, with the suffix .run.
        resume: go on from the checkpoint there, if there is one.
        checkpoint_every: steps between checkpoints, besides those after every epoch.
        device: where to train; auto takes a GPU if there is one.
        amp: compute in bfloat16 where that is safe.
        compile: compile the student with torch.compile.
        workers: processes that read data ahead.
        threads: of torch; None: its default.
        data_options: how to read and prepare the data.
        progress: called after every step.
        force: overwrite the output and what is in `run_dir`.

    Raises:
        UsageError: an option, the recipe or the data is wrong, or a file is in the way.
        ModelError: the model cannot be read, converted or trained.
        TrainingError: the loss is not finite.
        CheckError: the file that was written does not compute what torch does.
        InterruptionError: it was interrupted; the checkpoint is there.
        SetupError: torch is not installed, or there is no such device.
    """
    require_torch()
    from nmtool.training.parity import gate
    from nmtool.training.process import Process
    from nmtool.training.session import Request, Session
    from nmtool.training.student import Placement
    from nmtool.training.trainer import Plan

    unit_noise = at_strength_one(noise, relative_to)
    eta = strength(unit_noise, eta)
    if engine not in ("torch", "ort"):
        raise UsageError(f"engine must be torch or ort, not {engine!r}")
    _require(eta, validation_trials, validate_every, checkpoint_every)
    chosen = recipes.load(recipe).replace(**(settings or {}))
    output, source = Path(output), model if student is None else student
    folder = output.with_suffix(".run") if run_dir is None else Path(run_dir)
    process = Process.join("cpu" if engine == "ort" and device == "auto" else device, threads)
    if process.leads:
        _prepare(output, folder, resume, force)
    process.share(None)  # the others wait
    request = Request(
        student=source,
        teachers=list(teacher) or [model],
        teacher_engine=teacher_engine,
        data=data,
        data_options=data_options or DataOptions(),
        validation_data=validation_data,
        validation=validation,
        validation_trials=validation_trials,
        noise=unit_noise,
        placement=Placement(
            Selection(include, exclude, include_ops, exclude_ops, skip_first, skip_last), per_channel, dynamic
        ),
        recipe=chosen,
        losses=list(loss),
        metric=metric,
        plan=Plan(
            eta=eta,
            seed=seed,
            patience=patience,
            validate_every=validate_every,
            checkpoint_every=checkpoint_every,
            workers=workers,
        ),
        engine=engine,
        amp=amp,
        compile=compile,
        threads=threads,
    )
    with process.together():
        report = progress or (lambda done, total, numbers: None)
        session = Session(request, folder, process, lambda done, total: report(done, total, {}))
        session.run(resume, report)
        written = rounded = None
        if process.leads:
            weights = session.weights()
            written = reimport(
                source,
                weights,
                output,
                trained=session.trained(),
                metadata=provenance.weights("distill", "torch", **_facts(session)),
                verify=gate(session.student, source, session.sample()),
                force=force,
            )
            rounded = session.rounded()
        written = process.share(written)
    done: Progress = session.trainer.progress
    return Distillation(
        written,
        done.step,
        done.best_step,
        session.metric,
        eta,
        done.before,
        done.best,
        rounded,
        tuple(session.notes),
        folder,
    )


def _require(eta: float, validation_trials: int, validate_every: int, checkpoint_every: int) -> None:
    if not 0 <= eta < float("inf"):
        raise UsageError(f"eta must be a finite number >= 0, not {eta}")
    counts = {
        "validation_trials": validation_trials,
        "validate_every": validate_every,
        "checkpoint_every": checkpoint_every,
    }
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"{name} must be at least 1, not {count}")


def _prepare(output: Path, folder: Path, resume: bool, force: bool) -> None:
    """Refuse to overwrite, and make the folder of the run."""
    if output.exists() and not force:
        raise UsageError(f"the output exists: {output}", hint="write elsewhere, or overwrite it with --force")
    if not output.parent.is_dir():
        raise UsageError(f"the folder of the output does not exist: {output.parent}", hint="create it first")
    if (folder / "checkpoint.safetensors").exists() and not (resume or force):
        raise UsageError(
            f"there is a training in {folder}", hint="go on with --resume, start anew with --force, or use --run-dir"
        )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from error


def _facts(session: "Session") -> dict[str, Any]:
    done = session.trainer.progress
    scores = {"before": done.before, "after": done.best}
    return {
        "settings": session.settings,
        "step": done.best_step,
        **{name: None if each is None else {"clean": each.clean, "noisy": each.noisy} for name, each in scores.items()},
    }
