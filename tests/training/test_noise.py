"""The noise in torch against the known answers, the numpy reference and what inject resolves."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from build import model
from nmtool.errors import UsageError
from nmtool.noise import NOISE_MODELS, noise_model, reference
from nmtool.noise.base import Stage
from nmtool.noise.stream import stream_of
from nmtool.passes.statistics import statistics
from nmtool.verbs.bake import bake
from nmtool.verbs.inject import inject

torch = pytest.importorskip("torch")
from nmtool.training import noise
from nmtool.training.noise import Source

DATA = Path(__file__).parents[1] / "data"
PRIMITIVES = {
    "gaussian": ((0.3,), noise.gaussian_noise, reference.gaussian_noise),
    "lognormal": ((-0.1, 0.4), noise.lognormal_noise, reference.lognormal_noise),
    "stuck": (((0.1, 0.2, 0.05), (0.0, 1.5, -1.5)), noise.stuck_faults, reference.stuck_faults),
}


def rows(name: str) -> list[list[str]]:
    lines = (DATA / name).read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def ulps(a: NDArray, b: NDArray) -> NDArray:
    """Distance in float32 units in the last place, for numbers of equal sign."""
    return np.abs(a.view(np.int32).astype(np.int64) - b.view(np.int32))


def weights(*shape: int, dtype: type = np.float32) -> NDArray:
    return np.random.default_rng(shape).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("row", rows("philox_kat.txt"))
def test_philox(row: list[str]) -> None:
    numbers = [int(word, 16) for word in row]
    words = noise.philox4x32(tuple(torch.tensor([word]) for word in numbers[:4]), (numbers[4], numbers[5]))
    assert [int(word) for word in words] == numbers[6:]


def test_normals_and_uniforms_of_the_known_answers() -> None:
    for row in rows("normal_kat.txt"):
        seed, stream, trial, draw, element = map(int, row[:5])
        if element < 1 << 20:
            source = Source(seed, stream, trial, draw)
            assert noise.uniforms(source, element + 1)[-1] == float(row[6])
            assert noise.normals(source, element + 1)[-1] == np.float32(float(row[7]))


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, (1 << 16) + 17, 300_000])
def test_equal_to_numpy(size: int) -> None:
    numbers = (-5, 2**56 - 3, 2**33 + 7, 9)
    source, expected = Source(*numbers), reference.Source(*numbers)
    np.testing.assert_array_equal(noise.uniforms(source, size).numpy(), reference.uniforms(expected, 0, size))
    distance = ulps(noise.normals(source, size).numpy(), reference.normals(expected, 0, size))
    assert distance.max(initial=0) <= 1  # both are within 0.5 ulp of the real number
    assert np.count_nonzero(distance) <= 1e-5 * size


@pytest.mark.parametrize("primitive", PRIMITIVES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("scale", [1.0, 0.3, 0.0])
def test_primitives_equal_the_reference(primitive: str, dtype: str, scale: float) -> None:
    parameters, in_torch, in_numpy = PRIMITIVES[primitive]
    x = weights(7, 31).astype(ir.DataType.from_short_name({"bfloat16": "bf16"}.get(dtype, f"f{dtype[5:]}")).numpy())
    y = in_torch(torch.tensor(x.astype(np.float64)).to(getattr(torch, dtype)), *parameters, Source(1, 2, 3), scale)
    assert str(y.dtype) == f"torch.{dtype}"
    expected = in_numpy(x, *parameters, reference.Source(1, 2, 3), scale).astype(np.float64)
    # exp is within 2 ulp in each, and the rounding to T may then differ by one step
    step = {"float32": 2**-21, "float64": 2**-21, "float16": 2**-10, "bfloat16": 2**-7}[dtype]
    tolerance = step if primitive == "lognormal" and scale else 0
    np.testing.assert_allclose(y.double().numpy(), expected, rtol=tolerance)


def test_std_per_channel_and_a_weight_that_is_not_contiguous() -> None:
    x, std = weights(6, 10), weights(6, 1) ** 2
    y = noise.gaussian_noise(torch.tensor(x.T.copy()).T, torch.tensor(std), Source(1, 2))
    np.testing.assert_array_equal(y.numpy(), reference.gaussian_noise(x, std, reference.Source(1, 2)))


def test_gradients() -> None:
    x = torch.tensor(weights(40, 5), requires_grad=True)
    upstream, source = torch.tensor(weights(5, 40)).T, Source(1, 2)
    gradients = {}
    for name, (parameters, in_torch, _) in PRIMITIVES.items():
        y = in_torch(x, *parameters, source)
        (gradients[name],) = torch.autograd.grad(y, x, upstream)
        gradients[name, "y"] = y.detach()
    assert torch.equal(gradients["gaussian"], upstream)
    torch.testing.assert_close(gradients["lognormal"], upstream * gradients["lognormal", "y"] / x.detach())
    stuck = torch.isin(gradients["stuck", "y"], torch.tensor([0.0, 1.5, -1.5]))
    assert 0 < stuck.sum() < x.numel()
    assert torch.equal(gradients["stuck"], torch.where(stuck, 0, upstream))


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_gradcheck(primitive: str) -> None:
    parameters, in_torch, _ = PRIMITIVES[primitive]
    x = torch.tensor(weights(4, 5, dtype=np.float64), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: in_torch(x, *parameters, Source(1, 2)), x)


@pytest.mark.parametrize(
    ("shape", "axis", "groups"),
    [
        *(((6, 4, 3, 3), axis, 1) for axis in (None, 0, 1)),
        *(((6, 4, 3, 3), axis, 2) for axis in (0, 1)),
        *(((5, 7), axis, 1) for axis in (None, 0, 1)),
        *(((9,), axis, 1) for axis in (None, 0)),
    ],
)
def test_units_are_those_of_inject(shape: tuple[int, ...], axis: int | None, groups: int) -> None:
    w = weights(*shape)
    expected = statistics(ir.tensor(w), "w", axis, groups)
    measured = noise.Statistics(torch.tensor(w, requires_grad=True), axis, groups)
    for unit in ("one", "range", "max", "std"):
        size = measured.unit(unit)
        assert not size.requires_grad
        assert size.shape == expected.unit(unit).shape
        np.testing.assert_allclose(size.numpy(), expected.unit(unit), rtol=1e-12)


def test_equal_weights_have_no_spread() -> None:
    w = torch.full((3, 1000), 0.1)
    assert noise.Statistics(w).unit("std") == 0
    assert not noise.Statistics(w, 0).unit("std").any()


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gaussian", {}),
        ("gaussian", {"relative_to": "max"}),
        ("gaussian", {"relative_to": "std"}),
        ("lognormal", {"eta": 0.3}),
        ("stuck", {"eta": 0.3, "high": 0.5}),
    ],
)
@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_trains_with_what_inject_and_bake_put_in_a_chip(name, options, per_channel, dtype) -> None:
    noise_of, w = noise_model(name, options), weights(50, 6, dtype={"float": np.float32, "float16": np.float16}[dtype])
    stages, tensor = noise_of.stages(), torch.tensor(w)
    size = noise.Statistics(tensor, 1 if per_channel else None)
    if name == "stuck" and per_channel:
        with pytest.raises(UsageError, match="per-channel"):
            noise.apply_stages(tensor, stages, size, Source(3, 4))
        return
    proto = model(f"g ({dtype}[2,50] x) => ({dtype}[2,6] y) {{ y = MatMul(x, w) }}", w=w)
    chip = bake(inject(proto, noise=noise_of, per_channel=per_channel, seed=3).model, trial=5, scale=0.7)
    expected = chip.graph.initializers["w"].const_value.numpy()
    noisy = noise.apply_stages(tensor, stages, size, Source(3, stream_of("w"), 5), 0.7)
    np.testing.assert_allclose(noisy.numpy(), expected, rtol=2**-21 if dtype == "float" else 2**-10)


def test_stage_k_is_draw_k_and_all_are_sized_by_the_clean_weights() -> None:
    stages: list[Stage] = [*noise_model("lognormal", {}).stages(), *noise_model("gaussian", {}).stages()]
    w = weights(30, 20)
    size = statistics(ir.tensor(w), "w")
    lognormal = reference.lognormal_noise(w, 0.0, 0.05, reference.Source(1, 2, 3, 0))
    expected = reference.gaussian_noise(lognormal, stages[1].parameters[0].resolve(size), reference.Source(1, 2, 3, 1))
    tensor = torch.tensor(w)
    noisy = noise.apply_stages(tensor, stages, noise.Statistics(tensor), Source(1, 2, 3))
    np.testing.assert_allclose(noisy.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", NOISE_MODELS)
def test_everything_stays_on_the_device_of_the_weights(name: str, exact: bool) -> None:
    w = torch.empty(3, 4, device="meta")  # has no values, but complains of other devices as any does
    draws = Source(1, 2, torch.empty((), dtype=torch.int64, device="meta")) if exact else None
    scale = torch.empty((), device="meta")
    for each in (scale, 1.0):
        noisy = noise.apply_stages(w, noise_model(name, {}).stages(), noise.Statistics(w), draws, each)
        assert (noisy.device, noisy.shape) == (w.device, w.shape)


def test_the_generator_of_torch_has_the_same_distribution_and_repeats_by_its_seed() -> None:
    x = torch.ones(200_000)
    for _, (parameters, in_torch, _) in PRIMITIVES.items():
        first, second = (in_torch(x, *parameters, torch.Generator().manual_seed(7)) for _ in range(2))
        assert torch.equal(first, second)
        exact = in_torch(x, *parameters, Source(1, 2))
        # five standard deviations of the difference of two sample means, and about as much for the spread
        assert abs(first.mean() - exact.mean()) < 5 * exact.std() * np.sqrt(2 / x.numel())
        assert abs(first.std() / exact.std() - 1) < 0.02
    torch.manual_seed(1)
    assert noise.gaussian_noise(x, 1.0, None).std() == pytest.approx(1, abs=0.01)


def test_a_compiled_step_takes_every_trial_and_scale_without_compiling_again() -> None:
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    stages, w = noise_model("gaussian", {}).stages(), torch.tensor(weights(20, 30))

    def step(trial, scale):
        return noise.apply_stages(w, stages, noise.Statistics(w), Source(1, 2, trial), scale)

    compiled = torch.compile(step, fullgraph=True, backend=backend)
    for trial in (0, 1, 2**32 - 1):
        noisy = compiled(torch.tensor(trial), torch.tensor(0.5))
        assert torch.equal(noisy, step(trial, 0.5))
    assert len(graphs) == 1
