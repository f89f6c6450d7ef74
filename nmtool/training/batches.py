"""The micro-batches of a whole training, by number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.utils.data
from numpy.typing import NDArray
from torch import Tensor

from nmtool.backends import Array
from nmtool.data import Dataset
from nmtool.errors import UsageError
from nmtool.training.augment import Augmentation
from nmtool.training.seeds import Purpose, generator


@dataclass(frozen=True)
class MicroBatch:
    """What one forward pass is fed.

    Attributes:
        indices: which samples of the data set, int64 [N].
        feeds: tensors by input name, samples first; inputs without a batch dimension are whole.
        labels: samples first, or None; int64 where they are whole numbers, else float32.
    """

    indices: NDArray[np.int64]
    feeds: Mapping[str, Tensor]
    labels: Tensor | None

    def to(self, device: torch.device) -> "MicroBatch":
        """The same on a device."""
        feeds = {name: tensor.to(device) for name, tensor in self.feeds.items()}
        return MicroBatch(self.indices, feeds, None if self.labels is None else self.labels.to(device))


class Batches(torch.utils.data.Dataset[MicroBatch]):
    """Micro-batch n of a training, n >= 0, whoever asks for it and whatever they asked for before.

    Every epoch visits the samples in an order of its own, which depends on the seed and the epoch; those that do not
    fill a batch at its end are left out. How images are augmented depends on the seed and n, and is the same
    for all images of a sample, if several inputs take images of one size. Labels stay as they are.

    For a DataLoader with `batch_size=None` and the numbers that a process is to read as its `sampler`.

    Attributes:
        per_epoch: micro-batches in an epoch; number n is in epoch n // per_epoch.
    """

    def __init__(
        self,
        data: Dataset,
        training: NDArray[np.int64],
        batch_size: int,
        seed: int,
        augmentations: Sequence[Augmentation] = (),
    ) -> None:
        """Plan, and try the augmentations on the first micro-batch.

        Args:
            data: where samples come from.
            training: positions of the samples to train on.
            batch_size: samples per micro-batch.
            seed: 64-bit integer of the whole training.
            augmentations: of the inputs that take images, in this order.

        Raises:
            UsageError: there are too few samples, the labels are no numbers, or an augmentation cannot be applied.
        """
        if not 1 <= batch_size <= len(training):
            raise UsageError(f"a batch has from 1 to {len(training)} samples, all there are to train on: {batch_size}")
        if data.labels is not None and data.labels.dtype.kind not in "biuf":
            raise UsageError(f"labels must be numbers to train on, those of {data.name} are {data.labels.dtype}")
        axes = {name: preparation.image_axis for name, preparation in data.preparations.items()}
        self.per_epoch = len(training) // batch_size
        self._data = data
        self._training = training
        self._batch_size = batch_size
        self._seed = seed
        self._augmentations = augmentations
        self._channel_axes = {name: axis for name, axis in axes.items() if axis is not None}
        self._order: tuple[int | None, NDArray[np.int64]] = (None, training)  # of the epoch asked for last
        if augmentations:
            if not self._channel_axes:
                raise UsageError(f"no input takes images to augment, floating with 4 axes: {', '.join(axes)}")
            self[0]  # a mistake shows here, rather than in a process that reads ahead

    def __getitem__(self, number: int) -> MicroBatch:
        """Read, prepare and augment a micro-batch.

        Raises:
            UsageError: a sample cannot be read, is not finite or cannot be augmented.
        """
        epoch, place = divmod(number, self.per_epoch)
        indices = self._epoch_order(epoch)[place * self._batch_size :][: self._batch_size]
        batch = self._data.take(indices)
        feeds = {
            name: torch.tensor(array) if name in self._data.whole else self._batched(name, array, number)
            for name, array in batch.feeds.items()
        }
        return MicroBatch(indices, feeds, None if batch.labels is None else _labels(batch.labels))

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        known, order = self._order
        if known != epoch:
            order = generator(self._seed, Purpose.ORDER, epoch).permutation(self._training)
            self._order = (epoch, order)
        return order

    def _batched(self, name: str, array: Array, number: int) -> Tensor:
        if name in self._channel_axes:
            rng = generator(self._seed, Purpose.AUGMENTATION, number)
            for augmentation in self._augmentations:
                array = augmentation(array, self._channel_axes[name], rng)
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor.contiguous(memory_format=torch.channels_last) if self._channel_axes.get(name) == 1 else tensor


def _labels(labels: Array) -> Tensor:
    return torch.from_numpy(labels.astype(np.float32 if labels.dtype.kind == "f" else np.int64))
