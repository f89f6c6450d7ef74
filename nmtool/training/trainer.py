"""The training loop.

Whatever is random in a step follows from the seed and the number of the step, so that only tensors have to be saved.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nmtool.errors import InterruptionError, NmtoolError, TrainingError, UsageError
from nmtool.recipes import Recipe
from nmtool.training.batches import Batches, MicroBatch
from nmtool.training.batchnorm import recalibrate, running_statistics
from nmtool.training.checkpoint import Progress, Scores, State
from nmtool.training.clipping import WeightLimits
from nmtool.training.learner import Draw, Learner
from nmtool.training.process import Process
from nmtool.training.schedules import clip_limit, learning_rate, strength
from nmtool.training.seeds import Purpose, derived
from nmtool.training.student import Student
from nmtool.training.teacher import Teacher
from nmtool.training.validate import Validator

COLUMNS = ("epoch", "loss", "learning_rate", "eta", "gradient_norm", "clean", "noisy")
"""What is reported of a step; `clean` and `noisy` only after a validation."""

_RECALIBRATION_BATCHES = 32


@dataclass(frozen=True)
class Plan:
    """The settings of a training besides its recipe.

    Attributes:
        eta: strength of the noise that the model shall bear.
        seed: of everything random.
        patience: validations without improvement after which training ends; None for no early end.
        validate_every: epochs between validations.
        checkpoint_every: steps between checkpoints, besides those after validations.
        workers: processes that read data ahead; 0 reads in this one.
    """

    eta: float
    seed: int = 0
    patience: int | None = None
    validate_every: int = 1
    checkpoint_every: int = 500
    workers: int = 0


class Trainer:
    """One training of a student.

    Attributes:
        batches: what it is fed.
        progress: what it has come to.
        steps: all there are.
        per_epoch: steps in an epoch.
    """

    def __init__(
        self,
        student: Student,
        learner: Learner,
        teacher: Teacher | None,
        batches: Batches,
        validator: Validator | None,
        recipe: Recipe,
        plan: Plan,
        process: Process,
    ) -> None:
        """Prepare.

        Args:
            student: on the process's device.
            learner: trains it.
            teacher: gives the targets; None where the loss needs none.
            batches: of the whole training.
            validator: None: nothing is validated, and the last weights are kept.
            recipe: how to train.
            plan: the rest.
            process: this one.
        """
        self._student, self._learner, self._teacher = student, learner, teacher
        self.batches, self._validator, self._recipe, self._plan = batches, validator, recipe, plan
        self._process = process
        self._seed = derived(plan.seed, Purpose.TRAINING_NOISE)
        statistics = running_statistics(student)
        self._normalizing = [each.module for each in statistics]
        self._frozen = [each.module for each in statistics if each.merged or recipe.batchnorm == "frozen"]
        self._limits = WeightLimits(student, recipe.clip_per)
        self._average = {name: each.clone() for name, each in student.state_dict().items()} if recipe.ema else {}
        self._best: dict[str, Tensor] = {}
        self.progress = Progress()
        self._divide(recipe.accumulate * process.count)

    def _divide(self, per_step: int) -> None:
        """Divide the micro-batches into steps, and those of a step among the processes.

        Raises:
            UsageError: they cannot be shared equally.
        """
        self._accumulate, rest = divmod(per_step, self._process.count)
        if rest:
            raise UsageError(
                f"a step of this training has {per_step} batches, which {self._process.count} processes cannot share",
                hint="start as many as divide that number",
            )
        self._per_step = self.progress.per_step = per_step
        self.steps = max(1, self._recipe.epochs * self.batches.per_epoch // per_step)
        self.per_epoch = max(1, self.batches.per_epoch // per_step)
        self._freeze_at = math.ceil(self._recipe.batchnorm_freeze * self.steps)

    def state(self) -> State:
        """All that `restore` needs."""
        return State(self.progress, dict(self._student.state_dict()), self._best, self._average, self._learner.state())

    def restore(self, state: State) -> None:
        """Go on from a checkpoint; with another number of processes each accumulates more or fewer batches.

        Raises:
            UsageError: so many processes cannot share the batches of a step.
        """
        self.progress, self._best, self._average = state.progress, state.best, state.average
        self._divide(state.progress.per_step)
        self._student.load_state_dict(state.student)
        self._learner.restore(state.optimizer)

    def train(
        self,
        *,
        save: Callable[[State], None],
        report: Callable[[int, Mapping[str, float]], None],
        stop: Callable[[], bool],
    ) -> None:
        """Train to the end, and leave the best weights in the student.

        Args:
            save: called with the state where a checkpoint is due; in the leading process only.
            report: called with the number of steps done and the numbers of the last one.
            stop: asked after every step whether to stop.

        Raises:
            InterruptionError: it was to stop; the state is saved.
            TrainingError: the loss or its gradient is not finite; the last checkpoint stays.
            UsageError: data or labels do not suit the loss.
        """
        plan, progress = self._plan, self.progress
        if progress.before is None:
            progress.before = progress.best = self._scores()  # what training has to beat
            self._best = self._copy()
            self._limits.apply(clip_limit(self._recipe, 0.0))
            self._save(save)
        loader = self._loader()
        while progress.step < self.steps and not self._is_over():
            numbers = self._step(loader)
            progress.step += 1
            at_end = progress.step == self.steps
            due = progress.step % (plan.validate_every * self.per_epoch) == 0
            if due or at_end:
                numbers |= self._validate()
            report(progress.step, numbers)
            stopping = self._process.any(stop())
            if due or at_end or stopping or progress.step % plan.checkpoint_every == 0:
                self._save(save)
            if stopping and not at_end:
                raise InterruptionError(
                    f"interrupted after step {progress.step} of {self.steps}; everything is saved",
                    hint="go on with --resume",
                )
        self._student.load_state_dict(self._best)
        self._student.eval()

    def _is_over(self) -> bool:
        return self._plan.patience is not None and self.progress.worse > self._plan.patience

    def _save(self, save: Callable[[State], None]) -> None:
        if self._process.leads:
            save(self.state())

    def _loader(self) -> Iterator[MicroBatch]:
        """This process's micro-batches from the next step on."""
        first, rank, count = self.progress.step * self._per_step, self._process.rank, self._process.count
        numbers = range(first + rank, self.steps * self._per_step, count)
        workers: dict[str, Any] = {}
        if self._plan.workers:
            workers = {"num_workers": self._plan.workers, "multiprocessing_context": "fork"}
        loader = iter(DataLoader(self.batches, batch_size=None, sampler=numbers, **workers))
        for number in numbers:
            try:
                yield next(loader)
            except NmtoolError:
                self.batches[number]  # raises it again; that of a worker has its traceback in the message
                raise

    def _step(self, loader: Iterator[MicroBatch]) -> dict[str, float]:
        recipe, step = self._recipe, self.progress.step
        done = step / self.steps
        eta = strength(recipe, self._plan.eta, done, self._plan.seed, step)
        if step == self._freeze_at and len(self._normalizing) > len(self._frozen):
            self._recalibrate()
        self._set_modes()
        total, share, rate = 0.0, 1 / (self._accumulate * recipe.draws), learning_rate(recipe, done)
        for part in range(self._accumulate):
            number = step * self._per_step + part * self._process.count + self._process.rank
            batch = next(loader).to(self._process.device)
            targets = self._teacher(batch) if self._teacher is not None else {}
            for draw in range(recipe.draws):
                last = part == self._accumulate - 1 and draw == recipe.draws - 1
                drawn = Draw.of(recipe, number, draw, eta)
                total += self._learner.backward(batch, targets, drawn, share, last=last)
        norm = self._learner.update(rate)
        if not math.isfinite(norm):
            raise TrainingError(
                f"the loss or its gradient is not finite in step {step + 1}: loss {total}, gradient {norm}",
                hint="lower lr, or set gradient_clip; the last checkpoint is from before",
            )
        self._limits.apply(clip_limit(recipe, done))
        self._update_average()
        return {
            "epoch": step // self.per_epoch,
            "loss": total,
            "learning_rate": rate,
            "eta": eta,
            "gradient_norm": norm,
        }

    def _set_modes(self) -> None:
        self._student.train()
        self._student.reseed(self._seed)
        for module in self._normalizing if self.progress.step >= self._freeze_at else self._frozen:
            module.eval()

    @torch.no_grad()
    def _update_average(self) -> None:
        for name, tensor in self._student.state_dict().items() if self._average else ():
            average = self._average[name]
            if average.is_floating_point():
                average.lerp_(tensor, 1 - self._recipe.ema)
            else:
                average.copy_(tensor)

    def _validate(self) -> dict[str, float]:
        """Score the weights that would be kept now, and keep them if they are the best."""
        progress = self.progress
        current = self._copy()
        if self._average:
            self._student.load_state_dict(self._average)
        if self._recipe.batchnorm == "recalibrate" and progress.step <= self._freeze_at:
            self._recalibrate()
        scores = self._scores()
        if progress.best is None or scores is None or self._is_better(scores, progress.best):
            progress.best, progress.best_step, progress.worse = scores, progress.step, 0
            self._best = self._copy()
        else:
            progress.worse += 1
        self._student.load_state_dict(current)
        return {} if scores is None else {"clean": scores.clean, "noisy": scores.mean}

    def _copy(self) -> dict[str, Tensor]:
        return {name: each.clone() for name, each in self._student.state_dict().items()}

    def _is_better(self, scores: Scores, best: Scores) -> bool:
        higher = self._validator is None or self._validator.metric.higher_is_better
        return scores.mean > best.mean if higher else scores.mean < best.mean

    def _recalibrate(self) -> None:
        """Take the running statistics under noise, from the first micro-batches of the training."""
        numbers = range(min(_RECALIBRATION_BATCHES, self.batches.per_epoch))
        batches = (tuple(self.batches[number].to(self._process.device).feeds.values()) for number in numbers)
        self._student.reseed(self._seed)
        self._student.mirror(False)
        recalibrate(self._student, batches, numbers, self._recipe.eta_factor * self._plan.eta)

    def _scores(self) -> Scores | None:
        scores = self._validator.scores() if self._process.leads and self._validator is not None else None
        shared: Scores | None = self._process.share(scores)
        return shared
