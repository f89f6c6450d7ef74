"""Words and uniforms: bit for bit the specification's, at every SIMD level and for every range of elements."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from nmtool.noise import reference
from nmtool.noise.reference import Source

DATA = Path(__file__).parents[1] / "data"
SOURCES = [Source(seed=0, stream=0), Source(seed=-1, stream=2**56 - 1, trial=2**32 - 1, draw=255)]


def known_answers(name):
    lines = (DATA / name).read_text().splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


def test_philox_known_answers(library, level):
    for line in known_answers("philox_kat.txt"):
        values = [int(field, 16) for field in line]
        assert library.philox(values[:4], values[4:6], level) == values[6:]


def test_element_known_answers(library, level):
    for *integers, word, uniform, normal in known_answers("normal_kat.txt"):
        seed, stream, trial, draw, e = map(int, integers)
        source = Source(seed, stream, trial, draw)
        assert library.words(source, e, e + 1, level) == int(word, 16)
        assert library.uniforms(source, e, e + 1, level) == float(uniform)
        ulp = np.spacing(np.float32(abs(float(normal))))
        assert abs(np.float64(library.normals(source, e, e + 1, level)[0]) - float(normal)) <= 4 * ulp


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 64), (0, 1), (63, 65), (5, 5), (1, 1000), (64, 320), (2**34 - 100, 2**34)]
)
@pytest.mark.parametrize("source", SOURCES)
def test_any_range_equals_the_reference(library, level, source, start, stop):
    np.testing.assert_array_equal(library.uniforms(source, start, stop, level), reference.uniforms(source, start, stop))
    everything = library.normals(source, start // 64 * 64, stop, level)
    np.testing.assert_array_equal(library.normals(source, start, stop, level), everything[start % 64 :])


def test_trial_is_taken_modulo_2_to_the_32(library, level):
    words = [library.words(Source(1, 2, trial), 0, 64, level) for trial in (-1, 2**32 - 1, 2**40 - 1)]
    np.testing.assert_array_equal(words[0], words[1])
    np.testing.assert_array_equal(words[0], words[2])


@pytest.mark.parametrize("change", [{"seed": 2**32}, {"stream": 2**32}, {"trial": 1}, {"draw": 1}])
def test_every_argument_matters(library, level, change):
    plain, changed = Source(0, 0), Source(**{"seed": 0, "stream": 0, **change})
    equal = library.words(plain, 0, 6400, level) == library.words(changed, 0, 6400, level)
    assert not equal.any()


def test_unknown_level_is_refused(library):
    with pytest.raises(ValueError, match="sse9"):
        library.words(Source(0, 0), 0, 1, "sse9")


def test_version_is_the_package_version(library):
    try:
        expected = version("nmtool")
    except ModuleNotFoundError:
        pytest.skip("nmtool is not installed")
    assert library.version == expected
