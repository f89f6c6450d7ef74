"""The random numbers in torch against the known answers and the numpy reference, drawn by the library and by torch."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nmtool.noise import reference

torch = pytest.importorskip("torch")
from nmtool.interpreter import philox
from nmtool.interpreter.philox import Source, normals, uniforms

ULPS = {"library": 4, "torch": 0}  # docs/noise-spec.md; numpy and torch round the exact number
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(params=["library", "torch"])
def drawn_by(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(philox, "_LIBRARY", None)
    return request.param


def rows(name: str) -> list[list[str]]:
    lines = (DATA / name).read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def ulps(a: NDArray, b: NDArray) -> NDArray:
    """Distance in float32 units in the last place, for numbers of equal sign."""
    return np.abs(a.view(np.int32).astype(np.int64) - b.view(np.int32))


@pytest.mark.parametrize("row", rows("philox_kat.txt"))
def test_philox(row: list[str]) -> None:
    numbers = [int(word, 16) for word in row]
    words = philox.philox4x32(tuple(torch.tensor([word]) for word in numbers[:4]), (numbers[4], numbers[5]))
    assert [int(word) for word in words] == numbers[6:]


def test_normals_and_uniforms_of_the_known_answers(drawn_by: str) -> None:
    for row in rows("normal_kat.txt"):
        seed, stream, trial, draw, element = map(int, row[:5])
        if element < 1 << 20:
            source = Source(seed, stream, trial, draw)
            assert uniforms(source, element + 1)[-1] == float(row[6])
            drawn, known = normals(source, element + 1)[-1:].numpy(), np.float32(float(row[7]))
            assert ulps(drawn, np.array([known])) <= ULPS[drawn_by]


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, (1 << 16) + 17, 300_000])
def test_equal_to_numpy(size: int, drawn_by: str) -> None:
    numbers = (-5, 2**56 - 3, 2**33 + 7, 9)
    source, expected = Source(*numbers), reference.Source(*numbers)
    np.testing.assert_array_equal(uniforms(source, size).numpy(), reference.uniforms(expected, 0, size))
    distance = ulps(normals(source, size).numpy(), reference.normals(expected, 0, size))
    assert distance.max(initial=0) <= ULPS[drawn_by] + 1  # both this and numpy are off the real number
    if drawn_by == "torch":
        assert np.count_nonzero(distance) <= 1e-5 * size


def test_a_mirrored_source_is_the_other_half_of_an_antithetic_pair(drawn_by: str) -> None:
    source, mirror = Source(1, 2, 3), Source(1, 2, 3, mirrored=True)
    assert torch.equal(normals(source, 1000), -normals(mirror, 1000))
    u, v = uniforms(source, 1000), uniforms(mirror, 1000)
    assert torch.equal(u.double() + v.double(), torch.full((1000,), 1 - 2**-24, dtype=torch.float64))
    assert v.min() >= 0


def test_a_compiled_function_takes_every_trial_without_compiling_again(drawn_by: str) -> None:
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    compiled = torch.compile(lambda trial: normals(Source(1, 2, trial), 100), fullgraph=True, backend=backend)
    for trial in (0, 1, 2**32 - 1):
        assert torch.equal(compiled(torch.tensor(trial)), normals(Source(1, 2, trial), 100))
    assert len(graphs) == 1


def test_a_compiled_function_can_ask_for_gpu_kernels() -> None:
    asked = torch.compile(lambda x: x + philox._library_has_gpu_kernels(), fullgraph=True, backend="eager")
    assert asked(torch.zeros(1)) == philox._library_has_gpu_kernels()


def test_the_library_is_used_where_it_is_installed() -> None:
    assert philox._LIBRARY is not None  # the tests run where it was built
