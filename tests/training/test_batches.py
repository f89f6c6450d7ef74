"""Micro-batches: pure functions of their number, whoever asks."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from nmtool.backends import Port
from nmtool.data import DataOptions, Dataset, load
from nmtool.errors import UsageError

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader

from nmtool.training.augment import Crop, Hook, flip
from nmtool.training.batches import Batches, MicroBatch

F32 = np.dtype(np.float32)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(23, 6, 5, 3), dtype=np.uint8)  # samples, height, width, channels
VECTORS = RNG.normal(size=(23, 4)).astype(np.float32)
LABELS = RNG.integers(4, size=23).astype(np.int32)
SCALED = DataOptions(scale=1 / 255)
AUGMENTATIONS = (flip, Crop(2))
TRAINING = np.delete(np.arange(23), [0, 7, 11])


def images(shape: tuple[int | None, ...] = (None, 3, 6, 5), labels: object = LABELS) -> Dataset:
    return load((IMAGES, labels), [Port("x", F32, shape)], SCALED)


def vectors(count: int) -> Dataset:
    return load(np.arange(count, dtype=np.float32)[:, None], [Port("x", F32, (None, 1))])


def require_equal(one: MicroBatch, other: MicroBatch) -> None:
    np.testing.assert_array_equal(one.indices, other.indices)
    assert one.feeds.keys() == other.feeds.keys()
    for name, feed in one.feeds.items():
        assert torch.equal(feed, other.feeds[name])
    assert torch.equal(one.labels, other.labels)


@given(st.data(), st.integers(1, 40), st.integers(-(2**63), 2**63 - 1))
def test_an_epoch_visits_samples_once(draw, count, seed):
    training = np.array(sorted(draw.draw(st.sets(st.integers(0, count - 1), min_size=1))))
    size = draw.draw(st.integers(1, len(training)))
    batches = Batches(vectors(count), training, size, seed)
    assert batches.per_epoch == len(training) // size
    for epoch in range(3):
        numbers = range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch)
        visited = np.concatenate([batches[number].indices for number in numbers])
        assert len(visited) == len(set(visited)) == batches.per_epoch * size
        assert set(visited) <= set(training)


def test_every_epoch_and_seed_has_its_own_order_and_rest():
    batches = Batches(vectors(23), TRAINING, 6, 5)
    orders = [np.concatenate([batches[3 * epoch + place].indices for place in range(3)]) for epoch in range(30)]
    assert len({tuple(order) for order in orders}) == 30
    assert len({tuple(set(TRAINING) - set(order)) for order in orders}) > 15
    assert (Batches(vectors(23), TRAINING, 6, 6)[0].indices != batches[0].indices).any()


@pytest.mark.parametrize("shape", [(None, 3, 6, 5), (None, 6, 5, 3)])
def test_feeds_are_the_prepared_samples(shape):
    data = images(shape)
    batch = Batches(data, TRAINING, 5, 1)[9]
    taken = data.take(batch.indices)
    assert batch.indices.dtype == np.int64
    assert batch.feeds["x"].dtype == torch.float32
    np.testing.assert_array_equal(batch.feeds["x"].numpy(), taken.feeds["x"])
    assert batch.labels.dtype == torch.int64
    np.testing.assert_array_equal(batch.labels.numpy(), taken.labels)


@pytest.mark.parametrize(("shape", "axis"), [((None, 3, 6, 5), 1), ((None, 6, 5, 3), 3)])
def test_augmentation_is_that_of_the_model_layout(shape, axis):
    seen = []

    def spy(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        seen.append((array.copy(), rng.random()))
        return array[..., ::-1]  # not contiguous, and with a negative stride

    data = images(shape)
    batch = Batches(data, TRAINING, 5, 1, (flip, Hook("spy", spy)))[2]
    array, number = seen[-1]
    np.testing.assert_array_equal(batch.feeds["x"].numpy(), array[..., ::-1])
    columns = np.moveaxis(data.take(batch.indices).feeds["x"], axis, 1)
    mirrored = [not (after == before).all() for before, after in zip(columns, np.moveaxis(array, axis, 1), strict=True)]
    expected = np.where(np.array(mirrored)[:, None, None, None], columns[..., ::-1], columns)
    np.testing.assert_array_equal(np.moveaxis(array, axis, 1), expected)
    Batches(data, TRAINING, 5, 2, (flip, Hook("spy", spy)))[2]
    assert seen[-1][1] != number


def test_a_sample_is_augmented_anew_in_every_micro_batch_and_alike_in_all_inputs():
    ports = [Port(name, F32, (None, 3, 6, 5)) for name in ("left", "right")]
    data = load({"left": IMAGES, "right": IMAGES}, ports)
    batches = Batches(data, np.array([4]), 1, 0, AUGMENTATIONS)
    results = set()
    for number in range(20):
        feeds = batches[number].feeds
        assert torch.equal(feeds["left"], feeds["right"])
        results.add(feeds["left"].numpy().tobytes())
    assert len(results) > 10


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=12), st.integers(0, 2**63 - 1))
def test_a_micro_batch_does_not_depend_on_what_was_read_before(numbers, seed):
    batches = Batches(images(), TRAINING, 6, seed, AUGMENTATIONS)
    for number in numbers:
        require_equal(batches[number], Batches(images(), TRAINING, 6, seed, AUGMENTATIONS)[number])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # from Python 3.12 on, where there are threads
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_number_of_workers_reads_the_same(workers):
    batches = Batches(images(), TRAINING, 6, 3, AUGMENTATIONS)
    sampler = range(1, 12, 2)  # the second of two processes
    context = "fork" if workers else None
    loader = DataLoader(batches, batch_size=None, sampler=sampler, num_workers=workers, multiprocessing_context=context)
    for number, batch in zip(sampler, loader, strict=True):
        require_equal(batch, batches[number])


def test_inputs_that_are_no_images_stay_as_they_are(tmp_path):
    np.savez(tmp_path / "d.npz", x=IMAGES, vector=VECTORS, mask=IMAGES, state=np.ones((2, 5)), rate=np.array(8000))
    ports = [
        Port("x", F32, (None, 3, 6, 5)),
        Port("vector", F32, (None, 4)),
        Port("mask", np.dtype(np.uint8), (None, 6, 5, 3)),
        Port("state", F32, (2, 5)),
        Port("rate", np.dtype(np.int64), None),
    ]
    data = load(tmp_path / "d.npz", ports)
    batch = Batches(data, TRAINING, 6, 0, AUGMENTATIONS)[4]
    taken = data.take(batch.indices).feeds
    assert batch.labels is None
    assert not np.array_equal(batch.feeds["x"], taken["x"])
    for name in ("vector", "mask", "state", "rate"):
        assert batch.feeds[name].dtype == getattr(torch, str(taken[name].dtype))
        np.testing.assert_array_equal(batch.feeds[name].numpy(), taken[name])


def test_read_only_sources_give_tensors_that_may_be_written(tmp_path):
    np.save(tmp_path / "d.npy", VECTORS)
    np.save(tmp_path / "state.npy", np.ones((2, 5), np.float32))
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("d", "state")}
    batches = Batches(load(mapped, [Port("d", F32, (None, 4)), Port("state", F32, (2, 5))]), TRAINING, 6, 0)
    first = batches[0]
    for feed in first.feeds.values():
        feed.zero_()
    assert batches[0].feeds["d"].any()
    assert batches[0].feeds["state"].all()


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (LABELS, "int64"),
        (LABELS.astype(">u2"), "int64"),
        (LABELS > 1, "int64"),
        (VECTORS.astype(np.float64), "float32"),
        (VECTORS.astype(">f4"), "float32"),
    ],
)
def test_labels_are_of_two_types(labels, dtype):
    batch = Batches(images(labels=labels), TRAINING, 6, 0)[0]
    assert batch.labels.dtype == getattr(torch, dtype)
    np.testing.assert_array_equal(batch.labels.numpy(), labels[batch.indices].astype(dtype))


@pytest.mark.parametrize("size", [0, -1, 21])
def test_batches_larger_than_the_data(size):
    with pytest.raises(UsageError, match=f"from 1 to 20 samples, .*: {size}"):
        Batches(images(), TRAINING, size, 0)


def test_labels_that_are_no_numbers():
    with pytest.raises(UsageError, match=r"labels must be numbers .* <U1"):
        Batches(images(labels=np.array(["a"] * 23)), TRAINING, 6, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_augmentation_needs_images(dtype):
    array = np.zeros((23, 3, 4, 4) if dtype == np.int64 else (23, 3), dtype)
    data = load(array, [Port("tokens", np.dtype(dtype), None)])
    Batches(data, TRAINING, 6, 0)
    with pytest.raises(UsageError, match=r"no input takes images .*: tokens"):
        Batches(data, TRAINING, 6, 0, (flip,))


def test_augmentations_that_cannot_be_applied_are_found_at_once():
    with pytest.raises(UsageError, match=r"crop:5 .*: 6 x 5"):
        Batches(images(), TRAINING, 6, 0, (Crop(5),))
    with pytest.raises(UsageError, match="mine failed"):
        Batches(images(), TRAINING, 6, 0, (Hook("mine", lambda images: images),))
