"""One training put together: student, objective, teacher, data, validation and the folder it is kept in."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from nmtool.backends.ports import ports
from nmtool.data import DataOptions, Dataset, DataSource
from nmtool.data import load as load_data
from nmtool.hardware import AnalogNoise
from nmtool.interpreter.precision import widen
from nmtool.metrics import find
from nmtool.model import ModelSource, digest, load
from nmtool.noise.base import parameters
from nmtool.payloads import stored_arrays
from nmtool.recipes import Recipe
from nmtool.reimport import Source, read
from nmtool.training import checkpoint, preflight
from nmtool.training.arrays import set_state, state, to_numpy
from nmtool.training.augment import parse
from nmtool.training.batches import Batches
from nmtool.training.batchnorm import running_statistics
from nmtool.training.checkpoint import Scores
from nmtool.training.learner import Learner, TorchLearner
from nmtool.training.log import TrainingLog
from nmtool.training.objective import Objective, expose, resolve
from nmtool.training.ort_engine import refusal
from nmtool.training.ort_engine.start import require_same_gradient, start
from nmtool.training.process import Process
from nmtool.training.seeds import Purpose, derived
from nmtool.training.signals import stop_requests
from nmtool.training.split import split
from nmtool.training.student import Placement, Student
from nmtool.training.teacher import Averaged, CleanModel, Engine, Teacher
from nmtool.training.teacher_cache import TeacherCache
from nmtool.training.trainer import COLUMNS, Plan, Trainer
from nmtool.training.validate import Validator

TrainingEngine = Literal["torch", "ort"]


@dataclass(frozen=True)
class Request:
    """What to train; the fields are the arguments of `nmtool.distill`, resolved."""

    student: Source
    teachers: Sequence[ModelSource]
    teacher_engine: Engine
    data: DataSource
    data_options: DataOptions
    validation_data: DataSource | None
    validation: float
    validation_trials: int
    noise: AnalogNoise
    placement: Placement
    recipe: Recipe
    losses: Sequence[str]
    metric: str | None
    plan: Plan
    engine: TrainingEngine = "torch"
    amp: bool = False
    compile: bool = False
    threads: int | None = None


class Session:
    """A training that is ready to start, or to go on.

    Attributes:
        student: what is trained.
        trainer: the loop.
        notes: what the user must know about it.
        settings: what determines its result, as it is recorded.
        metric: name of the validation metric.
    """

    def __init__(self, request: Request, folder: Path, process: Process, report: Callable[[int, int], None]) -> None:
        """Put everything together and try one batch.

        Args:
            request: what to train.
            folder: where checkpoints, the log and cached teacher outputs are kept.
            process: this process.
            report: called with the batches of the teacher done and all there are, where they are computed ahead.

        Raises:
            NmtoolError: something does not fit; see `nmtool.distill`.
        """
        recipe, plan = request.recipe, request.plan
        self._request, self._folder, self._process = request, folder, process
        if request.engine == "ort":
            refusal.require(
                recipe, request.noise, request.placement, process, amp=request.amp, compiled=request.compile
            )
        self._checkpoint = folder / "checkpoint.safetensors"
        model = widen(load(request.student))
        objective = resolve(model, request.losses, recipe)
        self.notes = list(objective.notes)
        inputs = ports(model, any_batch=True)
        outputs = expose(model, objective.values)
        self.student = Student(model, request.noise, request.placement, plan.seed).to(process.device)
        stored = {name: tensor.data_type for name, tensor in stored_arrays(read(request.student)[0])}
        self._stored = stored
        self.notes += preflight.freeze_what_cannot_be_written(self.student, stored)
        if merged := [each.mean for each in running_statistics(self.student) if each.merged]:
            self.notes.append(f"kept, because the file stores them once for several nodes: {', '.join(merged)}")
        data = load_data(request.data, inputs, request.data_options)
        training, held_out = split(data.labels, data.count, self._validation_share, plan.seed)
        batches = Batches(data, training, recipe.batch_size, plan.seed, parse(recipe.augment))
        clean = self._clean_teacher(objective)
        positions = {name: outputs.index(name) for name in objective.values}
        self.notes += preflight.try_a_batch(
            self.student, objective, positions, clean, batches[0], data.labels, process.device
        )
        validation = (data, held_out)
        if request.validation_data is not None:
            other = load_data(request.validation_data, inputs, request.data_options)
            validation = (other, np.arange(other.count))
        self.metric = request.metric or preflight.default_metric(objective, validation[0].labels is not None)
        self.settings = self._settings(data, validation[0])
        teacher = None if clean is None else self._ahead(clean, objective, data, report)
        self._initial = {name: each.detach().clone() for name, each in self._state().items()}
        self._validator = self._make_validator(*validation, objective)
        learner = self._make_learner(objective, positions, teacher, batches)
        self.trainer = Trainer(
            self.student,
            learner,
            teacher,
            batches,
            self._validator,
            recipe,
            plan,
            process,
        )

    def run(self, resume: bool, report: Callable[[int, int, Mapping[str, float]], None]) -> None:
        """Train to the end; afterwards the student has the best weights.

        Args:
            resume: go on from the checkpoint of the folder, if there is one.
            report: called with the steps done, all there are, and the numbers of the last one.

        Raises:
            NmtoolError: see `Trainer.train`, or the checkpoint is of another training.
        """
        resumed = self._process.share(resume and self._checkpoint.exists())
        if resumed:
            self.trainer.restore(checkpoint.load(self._checkpoint, self.settings, self._process.device))
        with self._log(self.trainer.progress.step if resumed else None) as log, stop_requests() as stop:

            def report_step(step: int, numbers: Mapping[str, float]) -> None:
                log(step, numbers)
                report(step, self.trainer.steps, numbers)

            self.trainer.train(
                save=lambda state: checkpoint.save(self._checkpoint, state, self.settings),
                report=report_step,
                stop=stop,
            )
        if self.trainer.progress.best_step == 0:
            self.notes.append(
                "no step was better under noise than the original weights, which stay: lower lr, or train longer"
            )

    def trained(self) -> set[str]:
        """ONNX names of the arrays that training changes; statistics only if they have changed."""
        return {
            name
            for name, each in self._state().items()
            if each.requires_grad or (name in self._stored and not torch.equal(each, self._initial[name]))
        }

    def weights(self) -> dict[str, NDArray[Any]]:
        """Their values now."""
        arrays = self._state()
        return {name: to_numpy(arrays[name]) for name in self.trained()}

    def rounded(self) -> Scores | None:
        """Scores of the weights as the file's types hold them, which the student has then.

        None where nothing is lost, or without validation.
        """
        exact = self.weights()
        held = {
            name: values.astype(ir.DataType(self._stored[name]).numpy()).astype(values.dtype)
            for name, values in exact.items()
        }
        if self._validator is None or all(np.array_equal(exact[name], held[name]) for name in held):
            return None
        set_state(self.student.graph, self.student.names, held)
        return self._validator.scores()

    def sample(self) -> dict[str, NDArray[Any]]:
        """Inputs of a few samples by name, to compare runtimes on."""
        batch = self.trainer.batches[0]
        return {name: tensor.numpy() for name, tensor in batch.feeds.items()}

    @property
    def _validation_share(self) -> float:
        return 0.0 if self._request.validation_data is not None else self._request.validation

    def _state(self) -> dict[str, torch.Tensor]:
        return state(self.student.graph, self.student.names)

    def _clean_teacher(self, objective: Objective) -> Teacher | None:
        request = self._request
        first, *others = objective.terms
        if request.recipe.alpha == 0 and first.kind in ("distillation", "mse") and not others:
            return None
        models = [
            CleanModel(source, objective, request.teacher_engine, self._process.device) for source in request.teachers
        ]
        return models[0] if len(models) == 1 else Averaged(models)

    def _ahead(
        self, teacher: Teacher, objective: Objective, data: Dataset, report: Callable[[int, int], None]
    ) -> Teacher:
        """The teacher's outputs from disk, where they are the same in every epoch and not too large."""
        if self._request.recipe.augment or any(term.position is None for term in objective.terms):
            return teacher
        names = ("teachers", "data_sha256", "losses")
        key = json.dumps({name: self.settings[name] for name in names})
        cache = TeacherCache(self._folder, key, objective.values, self._process.device)
        if self._process.leads:
            cache.fill(teacher, data, report)
        self._process.share(None)  # the others wait
        return cache if cache.exists else teacher

    def _make_learner(
        self, objective: Objective, positions: Mapping[str, int], teacher: Teacher | None, batches: Batches
    ) -> Learner:
        request, plan, process = self._request, self._request.plan, self._process
        in_torch = TorchLearner(
            self.student,
            objective.loss,
            positions,
            request.recipe,
            process,
            seed=plan.seed,
            amp=request.amp,
            compile=request.compile,
        )
        if request.engine == "torch":
            return in_torch
        model, seed = widen(load(request.student)), derived(plan.seed, Purpose.TRAINING_NOISE)
        learner = start(
            model,
            self.student,
            request.noise,
            request.placement,
            objective,
            request.recipe,
            seed=seed,
            threads=request.threads,
        )
        self.student.reseed(seed)
        batch = batches[0]
        targets = teacher(batch) if teacher is not None else {}
        require_same_gradient(learner, in_torch, self.student.train(), batch, targets)
        return learner

    def _make_validator(self, data: Dataset, held_out: NDArray[np.int64], objective: Objective) -> Validator | None:
        request = self._request
        if not len(held_out):
            self.notes.append("no validation: the last weights are kept")
            return None
        return Validator(
            self.student,
            data,
            held_out,
            metric=find(self.metric),
            output=objective.terms[0].position or 0,
            eta=request.plan.eta,
            trials=request.validation_trials,
            seed=derived(request.plan.seed, Purpose.VALIDATION_NOISE),
            batch_size=request.recipe.batch_size,
            device=self._process.device,
        )

    def _settings(self, data: Dataset, validation: Dataset) -> dict[str, Any]:
        request, plan, recipe = self._request, self._request.plan, self._request.recipe
        own = ("validation", "validation_trials", "engine", "amp")
        digests = self._process.share(self._process.leads and _digests(data, validation))
        of_plan = ("seed", "patience", "validate_every")
        return {
            "student_sha256": digest(request.student),
            "teachers": [digest(teacher) for teacher in request.teachers],
            "data_sha256": digests[0],
            "validation_sha256": digests[1],
            "noise": parameters(request.noise) | {"eta": plan.eta},
            "placement": dataclasses.asdict(request.placement),
            "recipe": dataclasses.asdict(recipe),
            "losses": request.losses,
            "metric": self.metric,
            **{name: getattr(request, name) for name in own},
            **{name: getattr(plan, name) for name in of_plan},
        }

    @contextmanager
    def _log(self, resume: int | None) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
        if not self._process.leads:
            yield lambda step, numbers: None
            return
        with TrainingLog(self._folder, COLUMNS, resume) as log:
            yield log.report


def _digests(data: Dataset, validation: Dataset) -> tuple[str, str]:
    own = data.digest()
    return own, own if validation is data else validation.digest()
