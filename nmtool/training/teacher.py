"""The teacher: clean models whose outputs the student shall keep under noise."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmtool import backends
from nmtool.backends import Array
from nmtool.errors import ModelError, UsageError
from nmtool.interpreter.convert import convert
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
        each = [teacher(batch) for teacher in self._teachers]
        return {name: torch.stack([targets[name] for targets in each]).mean(dim=0) for name in each[0]}


class Cached:
    """Targets that were computed before: one file per value, a row per sample; the rows are read when needed."""

    def __init__(self, arrays: Mapping[str, NDArray[np.float32]], device: torch.device) -> None:
        self._arrays, self._device = arrays, device

    @classmethod
    def open(cls, folder: Path, key: str, values: Sequence[str], device: torch.device) -> "Cached | None":
        """What was computed for this key, or None."""
        paths = [_path(folder, key, value) for value in values]
        if not all(path.exists() for path in paths):
            return None
        arrays = {value: np.load(path, mmap_mode="r") for value, path in zip(values, paths, strict=True)}
        return cls(arrays, device)

    @classmethod
    def compute(
        cls,
        folder: Path,
        key: str,
        teacher: Teacher,
        batches: Sequence[MicroBatch],
        samples: int,
        report: Callable[[int, int], None],
    ) -> None:
        """Write the targets of all samples, whole files only.

        Args:
            folder: where to.
            key: what determines the targets.
            teacher: computes them.
            batches: which cover all samples.
            samples: how many there are.
            report: called with the batches done and all there are.
        """
        staged: dict[str, tuple[Path, Array]] = {}
        for number, batch in enumerate(batches):
            for value, targets in teacher(batch).items():
                if value not in staged:
                    path = _path(folder, key, value).with_suffix(".part")
                    shape = (samples, *targets.shape[1:])
                    staged[value] = path, np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
                staged[value][1][batch.indices] = targets.float().cpu().numpy()
            report(number + 1, len(batches))
        for path, array in staged.values():
            array.flush()
            path.replace(path.with_suffix(".npy"))

    def __call__(self, batch: MicroBatch) -> Mapping[str, Tensor]:
        return {
            value: torch.from_numpy(np.array(array[batch.indices])).to(self._device)
            for value, array in self._arrays.items()
        }


def _path(folder: Path, key: str, value: str) -> Path:
    name = hashlib.sha256(f"{key} {value}".encode()).hexdigest()[:16]
    return folder / f"teacher-{name}.npy"


def _in_torch(
    model: ModelSource, positions: Sequence[int], device: torch.device
) -> Callable[[Sequence[Tensor]], list[Tensor]]:
    module = convert(model).eval().to(device)

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
        return [torch.from_numpy(np.concatenate(column)[:count]).to(tensors[0].device) for column in columns]

    def _run_part(arrays: Sequence[Array], start: int, step: int, count: int) -> list[Array]:
        """Run some samples, filled up with the last one where the model's batch is fixed."""
        rows = np.minimum(np.arange(start, start + step), count - 1)
        whole = [not port.shape or (fixed is not None and port.shape[0] != fixed) for port in ports]
        fed = [array if each else array[rows] for array, each in zip(arrays, whole, strict=True)]
        return runner.run(wanted, dict(zip(inputs, fed, strict=True)))

    return run


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
