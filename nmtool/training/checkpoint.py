"""The state of a training on disk: one safetensors file that is replaced as a whole, with a record in its header."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nmtool.atomic import written_whole
from nmtool.errors import UsageError

_KEY = "nmtool.checkpoint"
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Scores:
    """A model on the validation samples.

    Attributes:
        clean: the metric without noise.
        noisy: the metric under noise, one value per noise sample.
    """

    clean: float
    noisy: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean under noise: what models are selected by."""
        return sum(self.noisy) / len(self.noisy)


@dataclass
class Progress:
    """What a training has come to.

    Attributes:
        step: steps done.
        per_step: micro-batches in each, those of all processes together.
        before: scores of the original weights.
        best: scores of the best weights.
        best_step: the step they are of.
        worse: validations since then.
    """

    step: int = 0
    per_step: int = 1
    before: Scores | None = None
    best: Scores | None = None
    best_step: int = 0
    worse: int = 0


@dataclass
class State:
    """Everything that a training needs to go on as if it had never stopped.

    Attributes:
        progress: numbers.
        student: weights and statistics.
        best: those of the best validation; empty before the first.
        average: moving average of the student; empty without.
        optimizer: tensors of the optimizer.
    """

    progress: Progress = field(default_factory=Progress)
    student: Tensors = field(default_factory=dict)
    best: Tensors = field(default_factory=dict)
    average: Tensors = field(default_factory=dict)
    optimizer: Tensors = field(default_factory=dict)


_GROUPS = ("student", "best", "average", "optimizer")


def save(path: Path, state: State, settings: Mapping[str, Any]) -> None:
    """Write a checkpoint; the old one stays until the new one is on the disk.

    Args:
        path: the file.
        state: what to write.
        settings: of the training; `load` compares them.

    Raises:
        UsageError: the file cannot be written.
    """
    groups = {group: getattr(state, group) for group in _GROUPS}
    tensors = {f"{group}/{name}": each.contiguous() for group in groups for name, each in groups[group].items()}
    record = json.dumps({"progress": asdict(state.progress), "settings": settings})
    with written_whole(path) as staged:
        save_file(tensors, staged, metadata={_KEY: record})
        with staged.open("rb") as file:
            os.fsync(file.fileno())


def load(path: Path, settings: Mapping[str, Any], device: torch.device) -> State:
    """Read a checkpoint.

    Raises:
        UsageError: it is no checkpoint, or of a training with other settings.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            record = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        progress = record["progress"]
        for name in ("before", "best"):
            if progress[name] is not None:
                progress[name] = Scores(progress[name]["clean"], tuple(progress[name]["noisy"]))
        state = State(Progress(**progress))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is no checkpoint of a training: {error}") from error
    _require_same(path, record["settings"], settings)
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        getattr(state, group)[rest] = tensor
    return state


def _require_same(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    new = json.loads(json.dumps(new))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            raise UsageError(
                f"{path} is of a training with {name} {old.get(name)!r}, now {new.get(name)!r}",
                hint="resume with the same options, or start anew in another folder",
            )
