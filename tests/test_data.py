"""Data sets: every source, every preparation, every mistake."""

import dataclasses
import zipfile

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from nmtool.backends import Port
from nmtool.data import DataOptions, Dataset, load
from nmtool.errors import UsageError

F32 = np.dtype(np.float32)
RNG = np.random.default_rng(0)


def port(*shape: int | None, name: str = "x", dtype: object = F32, optional: bool = False) -> Port:
    return Port(name, np.dtype(dtype), shape, optional)


def whole(data: Dataset, name: str = "x") -> np.ndarray:
    return np.concatenate([batch.cut(batch.feeds[name]) for batch in data])


VECTORS = RNG.normal(size=(10, 3)).astype(np.float32)
IMAGES = RNG.integers(256, size=(10, 6, 5, 3), dtype=np.uint8)  # samples, height, width, channels
LABELS = RNG.integers(4, size=10)


class TestSources:
    def test_npz_by_name_with_labels(self, tmp_path):
        path = tmp_path / "d.npz"
        np.savez(path, x=VECTORS, other=VECTORS[:, 0], labels=LABELS)
        data = load(path, [port(None, 3)])
        np.testing.assert_array_equal(whole(data), VECTORS)
        assert data.labels is not None
        np.testing.assert_array_equal(data.labels, LABELS)

    @pytest.mark.parametrize("name", ["labels", "label", "y"])
    def test_labels_have_usual_names(self, name):
        data = load({"x": VECTORS, name: LABELS}, [port(None, 3)])
        assert data.labels is LABELS

    def test_labels_by_another_name(self):
        data = load({"x": VECTORS, "labels": VECTORS, "truth": LABELS}, [port(None, 3)], DataOptions(labels="truth"))
        assert data.labels is LABELS

    def test_an_input_named_y_is_no_label(self):
        data = load({"x": VECTORS, "y": VECTORS}, [port(None, 3), port(None, 3, name="y")])
        assert data.labels is None

    def test_the_only_array_goes_to_the_only_input(self, tmp_path):
        np.savez_compressed(tmp_path / "d.npz", images=VECTORS, labels=LABELS)
        np.testing.assert_array_equal(whole(load(tmp_path / "d.npz", [port(None, 3)])), VECTORS)

    def test_npy_is_mapped_not_read(self, tmp_path):
        np.save(tmp_path / "d.npy", VECTORS)
        data = load(str(tmp_path / "d.npy"), [port(None, 3)])
        assert isinstance(data.inputs["x"], np.memmap)
        np.testing.assert_array_equal(whole(data), VECTORS)

    @pytest.mark.parametrize("body", ["return X", "return {'x': X}", "return X, Y", "return {'x': X}, Y"])
    def test_functions(self, tmp_path, monkeypatch, body):
        name = f"source_{abs(hash(body))}"
        (tmp_path / f"{name}.py").write_text(
            f"import numpy as np\nX, Y = np.ones((4, 3), 'f'), np.arange(4)\ndef make():\n    {body}\n"
        )
        monkeypatch.chdir(tmp_path)
        data = load(f"{name}:make", [port(None, 3)])
        assert (data.count, data.labels is None) == (4, "Y" not in body)

    def test_callables_and_pairs(self):
        for source in ((VECTORS, LABELS), lambda: (VECTORS, LABELS)):
            assert load(source, [port(None, 3)]).labels is LABELS

    def test_inputs_with_defaults_are_optional(self):
        ports = [port(None, 3), port(None, name="gain", optional=True)]
        assert "gain" not in next(iter(load({"x": VECTORS}, ports))).feeds
        given = load({"x": VECTORS, "gain": np.ones(10, np.float32)}, ports)
        assert len(next(iter(given)).feeds["gain"]) == 10


class TestImages:
    @pytest.fixture
    def folder(self, tmp_path):
        for label, count in (("cat", 1), ("ant", 3), ("bee", 2)):
            (tmp_path / label).mkdir()
            for index in range(count):
                pixel = IMAGES[index] if label == "ant" else np.full((6, 5, 3), index, np.uint8)
                Image.fromarray(pixel).save(tmp_path / label / f"{index}.png")
        (tmp_path / "ant" / "notes.txt").write_text("not an image")
        return tmp_path

    def test_classes_in_sorted_order_take_turns(self, folder):
        data = load(folder, [port(None, 3, 6, 5)])
        assert data.labels is not None
        assert data.labels.tolist() == [0, 1, 2, 0, 1, 0]
        images = whole(data)
        np.testing.assert_array_equal(images[0], IMAGES[0].transpose(2, 0, 1))
        np.testing.assert_array_equal(images[3], IMAGES[1].transpose(2, 0, 1))

    def test_the_model_decides_on_layout_and_size(self, folder):
        assert whole(load(folder, [port(None, 6, 5, 3)])).shape == (6, 6, 5, 3)
        assert whole(load(folder, [port(None, 3, 12, 10)])).shape == (6, 3, 12, 10)
        assert whole(load(folder, [port(None, 1, 6, 5)])).shape == (6, 1, 6, 5)
        assert whole(load(folder, [port(None, 3, None, None)], DataOptions(resize=(8, 9)))).shape == (6, 3, 8, 9)
        assert whole(load(folder, [port(None, None, None, None)])).shape == (6, 3, 6, 5)

    def test_images_of_other_sizes_need_a_size(self, folder):
        Image.new("RGB", (7, 7)).save(folder / "cat" / "1.png")
        with pytest.raises(UsageError, match="7 x 7") as caught:
            whole(load(folder, [port(None, 3, None, None)]))
        assert "resize" in str(caught.value.hint)
        assert load(folder, [port(None, 3, 6, 5)]).count == 7

    def test_taking_decodes_only_what_is_asked_for(self, folder):
        data = load(folder, [port(None, 3, 6, 5)])
        images = whole(data)
        (folder / "cat" / "0.png").write_bytes(b"no")
        batch = data.take([5, 0, 3, 0])
        np.testing.assert_array_equal(batch.feeds["x"], images[[5, 0, 3, 0]])
        with pytest.raises(UsageError, match=r"0\.png"):
            data.take([0, 2])

    def test_files_that_are_no_images_and_folders_without_any(self, folder, tmp_path):
        (folder / "bee" / "9.png").write_bytes(b"no")
        with pytest.raises(UsageError, match=r"9\.png"):
            whole(load(folder, [port(None, 3, 6, 5)]))
        (tmp_path / "empty").mkdir()
        with pytest.raises(UsageError, match="no images"):
            load(tmp_path / "empty", [port(None, 3, 6, 5)])


class TestPreparation:
    @pytest.mark.parametrize(
        ("shape", "model", "layout", "axes"),
        [
            ((10, 6, 5, 3), (None, 3, 6, 5), "auto", (0, 3, 1, 2)),
            ((10, 6, 5, 3), (None, 6, 5, 3), "auto", (0, 1, 2, 3)),
            ((10, 6, 5, 3), (None, 3, None, None), "auto", (0, 3, 1, 2)),
            ((10, 3, 6, 5), (None, 6, 5, 3), "auto", (0, 2, 3, 1)),
            ((10, 3, 3, 3), (None, 3, 3, 3), "auto", (0, 1, 2, 3)),
            ((10, 3, 3, 3), (None, 3, 3, 3), "nhwc", (0, 3, 1, 2)),
            ((10, 6, 5, 3), (None, None, None, None), "nhwc", (0, 3, 1, 2)),
            ((10, 3, 6, 5), (None, 6, 5, 3), "nchw", (0, 2, 3, 1)),
        ],
    )
    def test_axes_go_where_the_model_has_them(self, shape, model, layout, axes):
        images = RNG.integers(256, size=shape, dtype=np.uint8)
        data = load(images, [port(*model)], DataOptions(layout=layout))
        np.testing.assert_array_equal(whole(data), images.transpose(axes).astype(np.float32))

    @pytest.mark.parametrize(("model", "axis"), [((None, 1, 6, 5), 1), ((1, 6, 5, 1), 3)])
    def test_grey_images_get_a_channel_axis(self, model, axis):
        grey = IMAGES[..., 0]
        np.testing.assert_array_equal(whole(load(grey, [port(*model)])), np.expand_dims(grey, axis).astype(np.float32))

    @pytest.mark.parametrize("model", [(None, 3, 6, 5), (None, 6, 5, 3)])
    def test_scale_then_mean_then_std_per_channel(self, model):
        mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
        data = load(IMAGES, [port(*model)], DataOptions(scale=1 / 255, mean=mean, std=std))
        expected = (IMAGES / 255 - np.array(mean)) / np.array(std)
        if model[1] == 3:
            expected = expected.transpose(0, 3, 1, 2)
        array = whole(data)
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-6)

    def test_integers_are_left_alone_by_scale(self):
        tokens = np.arange(10)[:, None]
        data = load(tokens, [port(None, 1, dtype=np.int32)], DataOptions(scale=0.5))
        np.testing.assert_array_equal(whole(data), tokens)
        assert whole(data).dtype == np.int32

    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, np.float16, np.bool_])
    def test_numbers_become_the_models_type(self, dtype):
        array = whole(load(np.ones((4, 3), dtype), [port(None, 3)]))
        assert array.dtype == np.float32
        assert (array == 1).all()

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_values_that_are_not_finite_are_found_with_their_sample(self, bad):
        array = VECTORS.copy()
        array[7, 1] = bad
        with pytest.raises(UsageError, match="sample 7"):
            whole(load(array, [port(None, 3)], DataOptions(batch_size=4)))

    def test_overflow_of_a_small_type_is_found(self):
        with pytest.raises(UsageError, match="not finite"):
            whole(load(VECTORS * 1e6, [port(None, 3, dtype=np.float16)]))


class TestBatches:
    @given(st.integers(1, 30), st.integers(1, 12), st.booleans(), st.one_of(st.none(), st.integers(1, 40)))
    def test_batches_are_the_data_cut_up(self, count, size, fixed, limit):
        array = np.arange(count, dtype=np.float32)[:, None]
        labels = np.arange(count)
        options = DataOptions(batch_size=99 if fixed else size, limit=limit)
        data = load((array, labels), [port(size if fixed else None, 1)], options)
        used = min(count, limit or count)
        batches = list(data)
        assert len(batches) == len(data) == -(-used // size)
        np.testing.assert_array_equal(whole(data), array[:used])
        np.testing.assert_array_equal(np.concatenate([b.labels for b in batches]), labels[:used])
        assert all(len(b.feeds["x"]) == (size if fixed else b.size) for b in batches)

    def test_padding_repeats_the_last_sample_and_is_cut_off_outputs(self):
        last = list(load(VECTORS, [port(4, 3)]))[-1]
        np.testing.assert_array_equal(last.feeds["x"], VECTORS[[8, 9, 9, 9]])
        assert last.cut(np.zeros((4, 7))).shape == (2, 7)
        assert last.cut(np.zeros((5, 7))).shape == (5, 7)  # not one row per sample
        assert last.cut(np.zeros(())).shape == ()

    def test_arrays_without_a_batch_dimension_are_fed_whole(self):
        ports = [port(None, 3), port(2, 5, name="state"), Port("rate", np.dtype(np.int64), None)]
        arrays = {"x": VECTORS, "state": np.ones((2, 5)), "rate": np.array(8000)}
        for batch in load(arrays, ports, DataOptions(batch_size=3)):
            assert batch.feeds["state"].shape == (2, 5)
            assert batch.feeds["state"].dtype == np.float32
            assert batch.feeds["rate"] == 8000


class TestTaking:
    @given(st.data(), st.sampled_from([None, 4]), st.sampled_from([None, 8]))
    def test_is_indexing_of_the_prepared_data(self, draw, fixed, limit):
        ports = [port(fixed, 3, 6, 5), port(2, 5, name="state")]
        arrays = {"x": IMAGES, "state": np.ones((2, 5)), "labels": LABELS}
        data = load(arrays, ports, DataOptions(scale=1 / 255, mean=(0.1, 0.2, 0.3), limit=limit, batch_size=3))
        indices = draw.draw(st.lists(st.integers(0, data.count - 1), min_size=1, max_size=20))
        for given_as in (indices, np.array(indices), np.array(indices, np.uint8)):
            batch = data.take(given_as)
            np.testing.assert_array_equal(batch.feeds["x"], whole(data)[indices])
            np.testing.assert_array_equal(batch.labels, LABELS[indices])
            assert batch.feeds["state"].shape == (2, 5)
            assert batch.size == batch.fed == len(indices)

    def test_of_a_mapped_file_reads_only_those(self, tmp_path):
        np.save(tmp_path / "d.npy", VECTORS)
        batch = load(tmp_path / "d.npy", [port(None, 3)]).take([9, 1])
        assert not isinstance(batch.feeds["x"], np.memmap)
        np.testing.assert_array_equal(batch.feeds["x"], VECTORS[[9, 1]])
        assert batch.labels is None

    def test_a_value_that_is_not_finite_is_found_with_its_true_number(self):
        array = VECTORS.copy()
        array[7, 1] = np.nan
        data = load(array, [port(None, 3)])
        assert data.take([3, 6]).size == 2
        with pytest.raises(UsageError, match="sample 7"):
            data.take([3, 7, 0])

    @pytest.mark.parametrize("indices", [[8], [0, -1]])
    def test_of_samples_that_are_not_there(self, indices):
        with pytest.raises(UsageError, match=f"has 8 samples, .* no sample {indices[-1]}$"):
            load(VECTORS, [port(None, 3)], DataOptions(limit=8)).take(indices)

    @pytest.mark.parametrize("indices", [[], 3, [0.5], [[1]], np.ones(10, bool)])
    def test_by_something_else(self, indices):
        with pytest.raises(UsageError, match="list of numbers"):
            load(VECTORS, [port(None, 3)]).take(indices)


class TestDigest:
    BASE = DataOptions(scale=2.0)

    def digest(self, array=VECTORS, labels=LABELS, **changes):
        return load((array, labels), [port(None, 3)], dataclasses.replace(self.BASE, **changes)).digest()

    def test_equal_feeds_equal_digests(self, tmp_path):
        np.savez(tmp_path / "d.npz", x=VECTORS, truth=LABELS)
        from_file = load(tmp_path / "d.npz", [port(None, 3)], dataclasses.replace(self.BASE, labels="truth"))
        assert self.digest() == self.digest(batch_size=3) == self.digest(limit=10) == from_file.digest()

    def test_everything_that_changes_feeds_changes_the_digest(self):
        other = VECTORS.copy()
        other[9, 2] += 1
        digests = [
            self.digest(),
            self.digest(array=other),
            self.digest(array=VECTORS.astype(np.float64)),
            self.digest(labels=LABELS + 1),
            self.digest(labels=None),
            self.digest(limit=9),
            self.digest(scale=3.0),
            self.digest(mean=(1.0,)),
            self.digest(std=(1.0, 2.0, 3.0)),
        ]
        assert len(set(digests)) == len(digests)


class TestMistakes:
    @pytest.mark.parametrize(
        ("arrays", "ports", "message"),
        [
            ({"a": VECTORS, "b": VECTORS}, [port(None, 3)], "no array for input 'x'"),
            ({"x": VECTORS}, [port(None, 3), port(None, name="z")], "input 'z'"),
            ({"x": VECTORS}, [port(None, 4)], r"float32 \[\?, 4\], .* float32 \[10, 3\]"),
            ({"x": VECTORS}, [port(None, 3, 1)], r"\[10, 3\]"),
            ({"x": VECTORS}, [port(None, 3, dtype=np.int64)], r"int64 .* float32"),
            ({"x": IMAGES}, [port(None, 3, 7, 7)], r"\[10, 6, 5, 3\]"),
            ({"x": np.array([["a"]])}, [port(None, 1)], "<U1"),
            ({"x": VECTORS, "labels": LABELS[:9]}, [port(None, 3)], "x 10, labels 9"),
            ({"x": VECTORS, "z": VECTORS[:4]}, [port(None, 3), port(None, 3, name="z")], "x 10, z 4"),
            ({"x": VECTORS[:0]}, [port(None, 3)], "no samples"),
            ({"x": np.array(1.0)}, [Port("x", F32, None)], "only single values"),
            ({"x": np.array([object()])}, [port(None)], "Python objects"),
            ({"x": VECTORS, "s": np.ones((3, 5))}, [port(None, 3), port(2, 5, name="s")], r"\[2, 5\]"),
            ({"x": VECTORS}, [Port("x", None, (None, 3))], "not a tensor"),
            ({"x": VECTORS}, [], "no inputs"),
            ([1, 2], [port(None)], "not list"),
        ],
    )
    def test_arrays_that_do_not_fit(self, arrays, ports, message):
        with pytest.raises(UsageError, match=message):
            load(arrays, ports)

    def test_labels_that_are_not_there(self):
        with pytest.raises(UsageError, match="'truth'") as caught:
            load({"x": VECTORS}, [port(None, 3)], DataOptions(labels="truth"))
        assert caught.value.hint == "it has: x"

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("d.npz", b""),
            ("d.npz", b"no"),
            ("d.npy", b""),
            ("d.npy", b"no"),
            ("d.npy", b"\x93NUMPY\x01"),
            ("d.txt", b"1"),
        ],
    )
    def test_files_that_are_something_else(self, tmp_path, name, content):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=name):
            load(tmp_path / name, [port(None, 3)])

    def test_a_damaged_archive(self, tmp_path):
        np.savez(tmp_path / "d.npz", x=VECTORS)
        content = bytearray((tmp_path / "d.npz").read_bytes())
        content[150:160] = bytes(10)
        (tmp_path / "d.npz").write_bytes(content)
        assert zipfile.is_zipfile(tmp_path / "d.npz")
        with pytest.raises(UsageError, match="'x'"):
            load(tmp_path / "d.npz", [port(None, 3)])

    def test_pickles_are_not_opened(self, tmp_path):
        np.savez(tmp_path / "d.npz", x=np.array([{"a": 1}], dtype=object))
        np.save(tmp_path / "d.npy", np.array([{"a": 1}], dtype=object))
        for name in ("d.npz", "d.npy"):
            with pytest.raises(UsageError, match=r"(?i)object"):
                load(tmp_path / name, [port(None)])

    def test_files_and_functions_that_are_not_there(self, tmp_path):
        with pytest.raises(UsageError, match="no such data file"):
            load(tmp_path / "missing.npz", [port(None)])
        with pytest.raises(UsageError, match="cannot import"):
            load("missing_module:f", [port(None)])

    def test_a_function_that_fails_is_the_users_fault(self):
        def broken():
            raise KeyError("oops")

        with pytest.raises(UsageError, match="broken failed: KeyError"):
            load(broken, [port(None)])

    @pytest.mark.parametrize(
        "options",
        [
            {"limit": 0},
            {"batch_size": 0},
            {"resize": (0, 5)},
            {"layout": "hwc"},
            {"scale": float("nan")},
            {"mean": ()},
            {"std": (0.0,)},
        ],
    )
    def test_options_out_of_range(self, options):
        with pytest.raises(UsageError, match=next(iter(options))):
            DataOptions(**options)

    def test_a_mean_for_another_number_of_channels(self):
        with pytest.raises(UsageError, match="2 numbers"):
            load(IMAGES, [port(None, 3, 6, 5)], DataOptions(mean=(0.1, 0.2)))
