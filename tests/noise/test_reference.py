"""The numpy reference against the known answers, and against itself in parts."""

from pathlib import Path

import numpy as np
import pytest

from nmtool.noise.reference import Source, gaussian_noise, lognormal_noise, normals, philox4x32, stuck_faults, uniforms
from nmtool.noise.stream import stream_of

DATA = Path(__file__).parents[1] / "data"


def rows(name: str) -> list[list[str]]:
    lines = (DATA / name).read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("row", rows("philox_kat.txt"))
def test_philox(row: list[str]) -> None:
    numbers = [int(word, 16) for word in row]
    counter = tuple(np.array([word], np.uint32) for word in numbers[:4])
    words = philox4x32(counter, (numbers[4], numbers[5]))
    assert [int(word[0]) for word in words] == numbers[6:]


def test_normals_and_uniforms() -> None:
    for row in rows("normal_kat.txt"):
        seed, stream, trial, draw, element = map(int, row[:5])
        source = Source(seed, stream, trial, draw)
        assert uniforms(source, element, element + 1)[0] == float(row[6])
        assert normals(source, element, element + 1)[0] == np.float32(float(row[7]))


def test_streams() -> None:
    # sha256("") begins with e3b0c44298fc1c
    assert stream_of("") == 0xE3B0C44298FC1C
    names = [f"layer{k}.weight" for k in range(1000)]
    streams = {stream_of(name) for name in names}
    assert len(streams) == 1000
    assert all(0 <= stream < 2**56 for stream in streams)
    assert stream_of("é") != stream_of("e")


@pytest.mark.parametrize("start", [0, 1, 63, 64, 65, 1000])
def test_parts_of_an_array_are_parts_of_its_noise(start: int) -> None:
    source, x = Source(1, 2, 3), np.zeros(2000, np.float32)
    np.testing.assert_array_equal(normals(source, 0, 2000)[start : start + 100], normals(source, start, start + 100))
    part = gaussian_noise(x[start : start + 70], 2.0, source, start=start)
    np.testing.assert_array_equal(gaussian_noise(x, 2.0, source)[start : start + 70], part)


def test_every_argument_matters_and_the_trial_is_taken_modulo_2_to_the_32() -> None:
    sources = [Source(1, 2, 3, 4), Source(2, 2, 3, 4), Source(1, 3, 3, 4), Source(1, 2, 4, 4), Source(1, 2, 3, 5)]
    assert len({normals(source, 0, 64).tobytes() for source in sources}) == 5
    np.testing.assert_array_equal(normals(Source(-1, 2, 3), 0, 9), normals(Source(2**64 - 1, 2, 3 + 2**32), 0, 9))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_types_are_kept_and_scale_0_is_silent(dtype: type) -> None:
    source, x = Source(1, 2), np.linspace(-1, 1, 100).astype(dtype).reshape(4, 25)
    for noisy in (
        gaussian_noise(x, np.full((4, 1), 0.1, np.float32), source, 0.0),
        lognormal_noise(x, 0.1, 0.2, source, 0.0),
        stuck_faults(x, [0.5, 0.5], [0.0, 1.0], source, 0.0),
    ):
        assert noisy.dtype == dtype
        np.testing.assert_array_equal(noisy, x)


def test_stuck_faults_take_the_first_kind_and_never_more_than_all() -> None:
    x = np.full(100_000, 7, np.float32)
    y = stuck_faults(x, [0.2, 0.3], [1.0, 2.0], Source(5, 6))
    shares = [np.mean(y == value) for value in (1, 2, 7)]
    # five standard deviations of a binomial share
    np.testing.assert_allclose(shares, [0.2, 0.3, 0.5], atol=5 * np.sqrt(0.25 / x.size))
    assert np.all(stuck_faults(x, [1.0], [3.0], Source(5, 6)) == 3)


def test_moments_of_the_normals() -> None:
    z = normals(Source(3, 4), 0, 1_000_000).astype(np.float64)
    # five standard deviations of each sample moment: false-alarm rate 2e-6 in all, fixed seed
    assert abs(z.mean()) < 5e-3
    assert abs(z.var() - 1) < 5 * np.sqrt(2e-6)
    assert abs((z**3).mean()) < 5 * np.sqrt(15e-6)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96e-6)
    assert abs((z[1:] * z[:-1]).mean()) < 5e-3
