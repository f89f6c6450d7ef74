"""Teacher outputs on disk, computed once: without augmentation they are the same in every epoch."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmtool.data import Dataset
from nmtool.training.batches import MicroBatch
from nmtool.training.teacher import Teacher

_LIMIT = 4 << 30  # bytes
_AT_ONCE = 256  # samples


class TeacherCache:
    """A teacher that reads its outputs: a file per value, a row per sample."""

    def __init__(self, folder: Path, key: str, values: Sequence[str], device: torch.device) -> None:
        """Name the files.

        Args:
            folder: where they are.
            key: what determines the outputs.
            values: the student's values that they are for.
            device: where they are wanted.
        """
        names = {value: hashlib.sha256(f"{key} {value}".encode()).hexdigest()[:16] for value in values}
        self._paths = {value: folder / f"teacher-{name}.npy" for value, name in names.items()}
        self._device = device
        self._open: dict[str, NDArray[np.float32]] = {}

    @property
    def exists(self) -> bool:
        """Whether all files are there."""
        return all(path.exists() for path in self._paths.values())

    def fill(self, teacher: Teacher, data: Dataset, report: Callable[[int, int], None]) -> None:
        """Compute what is not there yet, whole files only; nothing where it would not fit in 4 GiB.

        Args:
            teacher: computes the outputs.
            data: all its samples get a row.
            report: called with the samples done and all there are.
        """
        if self.exists:
            return
        staged: dict[Path, np.memmap[Any, np.dtype[np.float32]]] = {}
        for batch in self._batches(data):
            targets = teacher(batch)
            if sum(each[0].numel() * 4 for each in targets.values()) * data.count > _LIMIT:
                return
            for value, rows in targets.items():
                path = self._paths[value].with_suffix(".part")
                if path not in staged:
                    shape = (data.count, *rows.shape[1:])
                    staged[path] = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
                staged[path][batch.indices] = rows.float().cpu().numpy()
            report(int(batch.indices[-1]) + 1, data.count)
        for path, array in staged.items():
            array.flush()
            path.replace(path.with_suffix(".npy"))

    def __call__(self, batch: MicroBatch) -> Mapping[str, Tensor]:
        """The rows of the batch."""
        if not self._open:
            self._open = {value: np.load(path, mmap_mode="r") for value, path in self._paths.items()}
        rows = {value: np.array(array[batch.indices]) for value, array in self._open.items()}
        return {value: torch.from_numpy(array).to(self._device) for value, array in rows.items()}

    def _batches(self, data: Dataset) -> Iterator[MicroBatch]:
        for start in range(0, data.count, _AT_ONCE):
            indices = np.arange(start, min(start + _AT_ONCE, data.count))
            feeds = {name: torch.from_numpy(array) for name, array in data.take(indices).feeds.items()}
            yield MicroBatch(indices, feeds, None).to(self._device)
