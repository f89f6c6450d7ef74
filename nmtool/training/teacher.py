"""The teacher: clean models whose outputs the student shall keep under noise."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from nmtool import backends
from nmtool.backends import Array
from nmtool.errors import ModelError, UsageError
from nmtool.interpreter.convert import convert
from nmtool.interpreter.precision import widen
from nmtool.model import ModelSource, load
from nmtool.training.batches import MicroBatch
from nmtool.training.objective import Objective, expose, target_of

Engine = Literal["onnxruntime", "torch"]


class Teacher(Protocol):
    """Targets of a micro-batch."""

    def __call__(self, batch: MicroBatch) -> Mapping[str, Tensor]:
        """Targets by the student's value, without gradient, on the device of the batch."""
        ...


class CleanModel:
    """One teacher."""

    def __init__(self, source: ModelSource, objective: Objective, engine: Engine, device: torch.device) -> None:
        """Load it.

        Args:
            source: the model.
            objective: which values the student needs targets for.
            engine: what runs it.
            device: where torch does.

        Raises:
            ModelError: it has not what the student is compared with, or cannot be run.
        """
        model = load(source)
        self._values = {term.value: target_of(model, term) for term in objective.terms}
        outputs = expose(model, list(self._values.values()))
        self._inputs = [value.name or "" for value in model.graph.inputs if not value.is_initializer()]
        wanted = list(self._values.values())
        if engine == "torch":
            self._run = _in_torch(model, [outputs.index(name) for name in wanted], device)
        else:
            self._run = _in_onnxruntime(model, self._inputs, wanted)

    def __call__(self, batch: MicroBatch) -> Mapping[str, Tensor]:
        """Its outputs; inputs go by name where the names are the student's, else by position."""
        feeds = list(batch.feeds.values())
        if len(feeds) != len(self._inputs):
            raise UsageError(f"the teacher has {len(self._inputs)} inputs, the student {len(feeds)}")
        by_name = set(self._inputs) == set(batch.feeds)
        ordered = [batch.feeds[name] for name in self._inputs] if by_name else feeds
        return dict(zip(self._values, self._run(ordered), strict=True))


class Averaged:
    """Several teachers: the mean of their outputs."""

    def __init__(self, teachers: Sequence[Teacher]) -> None:
        self._teachers = teachers

    def __call__(self, batch: MicroBatch) -> Mapping[str, Tensor]:
        """The mean over the teachers."""
        each = [teacher(batch) for teacher in self._teachers]
        return {name: torch.stack([targets[name] for targets in each]).mean(dim=0) for name in each[0]}


def _in_torch(
    model: ir.Model, positions: Sequence[int], device: torch.device
) -> Callable[[Sequence[Tensor]], list[Tensor]]:
    module = convert(widen(model)).eval().to(device)

    @torch.no_grad()
    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        outputs = module(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return [outputs[position] for position in positions]

    return run


def _in_onnxruntime(
    model: ModelSource, inputs: Sequence[str], wanted: Sequence[str]
) -> Callable[[Sequence[Tensor]], list[Tensor]]:
    runner = backends.load(model)
    ports = [runner.inputs[name] for name in inputs]
    fixed = ports[0].shape[0] if ports and ports[0].shape else None

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        arrays = [
            tensor.cpu().numpy().astype(port.dtype or np.float32) for port, tensor in zip(ports, tensors, strict=True)
        ]
        count = len(arrays[0])
        step = fixed or count
        parts = [_run_part(arrays, start, step, count) for start in range(0, count, step)]
        columns = zip(*parts, strict=True)
        return [_wide(torch.from_numpy(np.concatenate(column)[:count])).to(tensors[0].device) for column in columns]

    def _run_part(arrays: Sequence[Array], start: int, step: int, count: int) -> list[Array]:
        """Run some samples, filled up with the last one where the model's batch is fixed."""
        rows = np.minimum(np.arange(start, start + step), count - 1)
        whole = [not port.shape or (fixed is not None and port.shape[0] != fixed) for port in ports]
        fed = [array if each else array[rows] for array, each in zip(arrays, whole, strict=True)]
        return runner.run(wanted, dict(zip(inputs, fed, strict=True)))

    return run


def _wide(tensor: Tensor) -> Tensor:
    """Half precision in float32, as the student's outputs are."""
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def require_same_shapes(student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> None:
    """Refuse a teacher whose outputs the student's cannot be compared with.

    Raises:
        ModelError: naming the output and both shapes.
    """
    for name, targets in teacher.items():
        if targets.shape != student[name].shape:
            have, want = list(student[name].shape), list(targets.shape)
            raise ModelError(
                f"student and teacher have different outputs: {name!r} is {have}, the teacher's is {want}",
                hint="a teacher for other classes or another size cannot be compared with",
            )
