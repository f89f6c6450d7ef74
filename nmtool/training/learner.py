"""What computes gradients and moves weights by them: the part of the training that engines differ in."""

import contextlib
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from nmtool.recipes import Recipe
from nmtool.training.batches import MicroBatch
from nmtool.training.checkpoint import Tensors
from nmtool.training.losses import Weighted
from nmtool.training.process import Process
from nmtool.training.seeds import Purpose, derived, generator
from nmtool.training.sharpness import ascended
from nmtool.training.student import Student


@dataclass(frozen=True)
class Draw:
    """The noise of one forward pass.

    Attributes:
        number: of the pass in the whole training.
        trial: which noise sample.
        mirrored: whether it is the other half of the pair.
        eta: strength of the noise.
    """

    number: int
    trial: int
    mirrored: bool
    eta: float

    @classmethod
    def of(cls, recipe: Recipe, batch: int, draw: int, eta: float) -> "Draw":
        """That of a micro-batch's draw, by their numbers; antithetic pairs have one trial."""
        number = batch * recipe.draws + draw
        mirrored = recipe.antithetic and draw % 2 == 1
        return cls(number, number - mirrored, mirrored, eta)


class Learner(Protocol):
    """Trains a student, whose parameters are its own between `update` and the next `backward`."""

    def backward(
        self, batch: MicroBatch, targets: Mapping[str, Tensor], draw: Draw, share: float, *, last: bool
    ) -> float:
        """Add the gradient of one forward pass to that of the step.

        Args:
            batch: on the device of the student.
            targets: the teacher's values.
            draw: the noise.
            share: of its loss in that of the step.
            last: whether it is the last one of the step.

        Returns:
            The loss, times the share.
        """
        ...

    def update(self, rate: float) -> float:
        """Make a step of a learning rate, unless the gradient is not finite; returns its norm before clipping."""
        ...

    def state(self) -> Tensors:
        """What it keeps besides the student's weights."""
        ...

    def restore(self, state: Tensors) -> None:
        """Go on from a state; the student has its weights."""
        ...


class TorchLearner:
    """Trains in torch, together with other processes."""

    def __init__(
        self,
        student: Student,
        loss: Weighted,
        positions: Mapping[str, int],
        recipe: Recipe,
        process: Process,
        *,
        seed: int,
        amp: bool = False,
        compile: bool = False,  # noqa: A002 - the name of torch's function
    ) -> None:
        """Prepare.

        Args:
            student: on the process's device.
            loss: by name of the student's values.
            positions: where these are among its outputs.
            recipe: how to train.
            process: this one.
            seed: of the whole training.
            amp: forward passes in bfloat16, where torch holds it to be safe.
            compile: compile the student.
        """
        self._student, self._loss, self._positions, self._recipe = student, loss, positions, recipe
        self._process, self._seed, self._amp = process, seed, amp
        self._optimizer = _optimizer(student, recipe)
        self._parallel = process.parallel(torch.compile(student) if compile else student)
        self._passes: list[Callable[[], float]] = []  # of this step, where its gradient is taken twice

    def backward(
        self, batch: MicroBatch, targets: Mapping[str, Tensor], draw: Draw, share: float, *, last: bool
    ) -> float:
        """See Learner."""
        one_pass = functools.partial(self._pass, batch, targets, draw, share, last=last)
        if self._recipe.sharpness:
            self._passes.append(one_pass)
        return one_pass()

    def _pass(self, batch: MicroBatch, targets: Mapping[str, Tensor], draw: Draw, share: float, *, last: bool) -> float:
        device = self._process.device
        torch.manual_seed(derived(self._seed, Purpose.DROPOUT, draw.number))
        self._student.mirror(draw.mirrored)
        self._student.age(generator(self._seed, Purpose.TIME, draw.trial).random())
        with contextlib.nullcontext() if last or self._process.count == 1 else self._parallel.no_sync():
            with torch.autocast(device.type, torch.bfloat16, enabled=self._amp):
                noise = (torch.tensor(draw.trial, device=device), torch.tensor(draw.eta, device=device))
                outputs = self._parallel(*batch.feeds.values(), *noise)
            values = {name: outputs[position] for name, position in self._positions.items()}
            labels = {} if batch.labels is None else {next(iter(self._positions)): batch.labels}
            loss = self._loss(values, targets, labels) * share
            loss.backward()
        return float(loss.detach())

    def update(self, rate: float) -> float:
        """See Learner."""
        if self._passes:
            with ascended(self._student.parameters(), self._recipe.sharpness):
                self._optimizer.zero_grad()
                for one_pass in self._passes:
                    one_pass()
            self._passes.clear()
        limit = self._recipe.gradient_clip or float("inf")
        norm = nn.utils.clip_grad_norm_(self._student.parameters(), limit)
        if torch.isfinite(norm):
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.step()
        self._optimizer.zero_grad()
        return float(norm)

    def state(self) -> Tensors:
        """See Learner."""
        return {
            f"{index}/{name}": tensor
            for index, tensors in self._optimizer.state_dict()["state"].items()
            for name, tensor in tensors.items()
            if tensor is not None
        }

    def restore(self, state: Tensors) -> None:
        """See Learner."""
        optimizer: dict[int, Tensors] = {}
        for key, tensor in state.items():
            index, _, name = key.partition("/")
            optimizer.setdefault(int(index), {})[name] = tensor
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": optimizer})


def _optimizer(student: Student, recipe: Recipe) -> torch.optim.Optimizer:
    """Weights of one axis (biases, normalization) do not decay."""
    trained = [each for each in student.parameters() if each.requires_grad]
    groups = [
        {"params": [each for each in trained if each.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [each for each in trained if each.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr)
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
