"""A data set bound to a model: batches of feeds, labels and a digest."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from nmtool.backends import Array
from nmtool.data.images import ImageSamples
from nmtool.data.options import DataOptions
from nmtool.data.prepare import Preparation
from nmtool.data.sources import Samples
from nmtool.errors import UsageError

_HASH_CHUNK = 256  # samples


@dataclass(frozen=True)
class Batch:
    """One run's worth of samples.

    Attributes:
        feeds: arrays by input name. In iteration, the last batch of a model with a fixed batch dimension is filled up
            with copies of its last sample.
        labels: labels of the samples, or None.
        size: number of samples, copies not counted.
        fed: number of samples, copies counted.
    """

    feeds: Mapping[str, Array]
    labels: Array | None
    size: int
    fed: int

    def cut(self, output: Array) -> Array:
        """Drop the rows of an output that belong to copies."""
        return output[: self.size] if output.ndim and len(output) == self.fed else output


@dataclass(frozen=True)
class Dataset:
    """Samples that fit a model's inputs, read and prepared batch by batch.

    Iterate over it for the batches in order, or `take` any samples.

    Attributes:
        name: of the source, for messages.
        count: number of samples.
        batch_size: samples per run.
        fixed: whether the model's batch dimension is fixed, so that every run takes `batch_size` samples.
        inputs: samples by input name, as stored.
        whole: arrays without a batch dimension, fed to every run as they are.
        preparations: what is done to each, by input name.
        labels: labels, samples first, or None.
        options: as given.
    """

    name: str
    count: int
    batch_size: int
    fixed: bool
    inputs: Mapping[str, Samples]
    whole: Mapping[str, Array]
    preparations: Mapping[str, Preparation]
    labels: Array | None
    options: DataOptions

    def __len__(self) -> int:
        """Number of batches."""
        return -(-self.count // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """The batches in order.

        Raises:
            UsageError: a value is not finite, or a file of the source cannot be read.
        """
        for start in range(0, self.count, self.batch_size):
            batch = self._read(slice(start, min(start + self.batch_size, self.count)))
            yield self._filled(batch) if self.fixed else batch

    def take(self, indices: Sequence[int] | Array) -> Batch:
        """The samples at some positions, in that order and prepared as in iteration, without any filling up.

        Args:
            indices: at least one number from 0 to count - 1; a number may come several times.

        Raises:
            UsageError: there is no such sample, or reading fails as in iteration.
        """
        positions = np.asarray(indices)
        if positions.ndim != 1 or positions.size == 0 or positions.dtype.kind not in "iu":
            raise UsageError(f"samples are taken by a list of numbers, not {indices!r}")
        if absent := positions[(positions < 0) | (positions >= self.count)].tolist():
            raise UsageError(f"{self.name} has {self.count} samples, numbered from 0: there is no sample {absent[0]}")
        return self._read(positions.astype(np.int64))

    def _read(self, key: slice | Array) -> Batch:
        """Some samples, all within the count. A slice of an array is a view and costs no copy."""
        numbers = range(self.count)[key] if isinstance(key, slice) else key
        feeds = dict(self.whole)
        for name, samples in self.inputs.items():
            feeds[name] = self.preparations[name](samples[key], numbers)
        labels = None if self.labels is None else self.labels[key]
        return Batch(feeds, labels, len(numbers), len(numbers))

    def _filled(self, batch: Batch) -> Batch:
        missing = self.batch_size - batch.size
        if not missing:
            return batch
        feeds = {
            name: np.concatenate([array, *[array[-1:]] * missing]) if name in self.inputs else array
            for name, array in batch.feeds.items()
        }
        return replace(batch, feeds=feeds, fed=self.batch_size)

    def digest(self) -> str:
        """SHA-256 (hex) of the samples as stored, their labels and the preparation: equal digests, equal feeds."""
        sha = hashlib.sha256()
        options = asdict(self.options) | {"labels": None, "limit": None, "batch_size": None}
        sha.update(json.dumps(options, sort_keys=True).encode())
        for name, array in sorted(self.whole.items()):
            sha.update(f"{name} {array.dtype} {array.shape}".encode())
            sha.update(array.tobytes())
        batched = dict(sorted(self.inputs.items())) | ({} if self.labels is None else {"labels": self.labels})
        for name, samples in batched.items():
            sha.update(f"{name} {samples.dtype} {samples.shape[1:]} {self.count}".encode())
            for content in samples.stored(self.count) if isinstance(samples, ImageSamples) else self._chunks(samples):
                sha.update(content)
        return sha.hexdigest()

    def _chunks(self, samples: Samples) -> Iterator[bytes]:
        for start in range(0, self.count, _HASH_CHUNK):
            yield samples[start : min(start + _HASH_CHUNK, self.count)].tobytes()
