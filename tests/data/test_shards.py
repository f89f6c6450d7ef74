"""Tar shards: samples as WebDataset writes them, read image by image."""

import io
import tarfile
import tracemalloc

import numpy as np
import pytest

from nmtool.backends import Port
from nmtool.data import DataOptions, load
from nmtool.errors import UsageError

PORTS = [Port("x", np.dtype("float32"), (None, 3, 32, 32), False)]


def ppm(number, side=32):
    pixels = np.random.default_rng(number).integers(256, size=(side, side, 3), dtype=np.uint8)
    return b"P6 %d %d 255 " % (side, side) + pixels.tobytes()


def write(path, members):
    with tarfile.open(path, "w") as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


def sample(number, side=32):
    return [(f"train/{number:05}.ppm", ppm(number, side)), (f"train/{number:05}.cls", b"%d\n" % (number % 7))]


@pytest.fixture
def shards(tmp_path):
    for shard in range(3):
        numbers = range(shard * 5, shard * 5 + 5)
        write(tmp_path / f"{shard}.tar", [each for number in numbers for each in sample(number)])
    return tmp_path


def test_shards_have_the_samples_of_a_folder_of_the_same_images(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder")
    for number in range(15):
        (folder / str(number % 7)).mkdir(exist_ok=True)
        (folder / str(number % 7) / f"{number:05}.ppm").write_bytes(ppm(number))
    ours, theirs = load(shards, PORTS), load(folder, PORTS)
    assert ours.labels.tolist() == [number % 7 for number in range(15)]
    order = [13, 0, 7, 7]
    found = ours.take(order)
    positions = [number % 7 + 7 * (number // 7) for number in order]  # the folder's classes take turns
    expected = theirs.take(positions)
    assert found.labels.tolist() == expected.labels.tolist()
    np.testing.assert_array_equal(found.feeds["x"], expected.feeds["x"])


def test_one_shard_may_be_given_by_its_name(shards):
    assert load(shards / "1.tar", PORTS).labels.tolist() == [5, 6, 0, 1, 2]


def test_labels_are_optional(tmp_path):
    write(tmp_path / "a.tar", [("1.ppm", ppm(1)), ("1.json", b"{}"), ("2.ppm", ppm(2))])
    data = load(tmp_path, PORTS)
    assert (data.count, data.labels) == (2, None)


def test_the_digest_depends_on_the_images_and_on_how_they_are_read(shards):
    digest = load(shards, PORTS).digest()
    assert load(shards, PORTS).digest() == digest
    wide = [Port("x", np.dtype("float32"), (None, 3, None, None), False)]
    assert load(shards, wide, DataOptions(resize=(16, 16))).digest() != load(shards, wide).digest()
    write(shards / "2.tar", [each for number in range(20, 25) for each in sample(number)])
    assert load(shards, PORTS).digest() != digest


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("1.txt", b"no")], "no images in"),
        ([("1.ppm", ppm(1)), ("1.cls", b"4"), ("2.ppm", ppm(2))], "1 of 2 samples in .* have a class"),
        ([("1.ppm", ppm(1)), ("1.png", ppm(1))], "sample 1 of .* has two images"),
        ([("1.ppm", ppm(1)), ("1.cls", b"cat")], "1.cls of .* is no number of a class: b'cat'"),
    ],
)
def test_samples_that_cannot_be_meant_are_named(tmp_path, members, message):
    write(tmp_path / "a.tar", members)
    with pytest.raises(UsageError, match=message):
        load(tmp_path, PORTS)


def test_a_broken_image_is_named_by_its_place(tmp_path):
    write(tmp_path / "a.tar", [("1.ppm", ppm(1)), ("2.ppm", b"P6 nonsense")])
    with pytest.raises(UsageError, match=r"at byte \d+ of .*a\.tar"):
        load(tmp_path, PORTS).take([1])


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_what_is_no_tar_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"x" * 2000)
    with pytest.raises(UsageError, match=r"a\.tar"):
        load(tmp_path / name, PORTS)


@pytest.mark.parametrize("kind", ["shards", "folder"])
def test_images_are_never_all_in_memory(tmp_path, kind):
    """10 MB of images, in batches of 8: a pass over them and their digest take less than 2 MB."""
    side, count = 128, 200
    if kind == "shards":
        write(tmp_path / "a.tar", [each for number in range(count) for each in sample(number % 10, side)])
    else:
        (tmp_path / "a").mkdir()
        for number in range(count):
            (tmp_path / "a" / f"{number}.ppm").write_bytes(ppm(number % 10, side))
    ports = [Port("x", np.dtype("uint8"), (None, side, side, 3), False)]
    tracemalloc.start()
    try:
        data = load(tmp_path, ports, DataOptions(batch_size=8))
        assert sum(len(batch.feeds["x"]) for batch in data) == count
        data.digest()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20
