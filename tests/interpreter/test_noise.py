"""The primitives in torch against the numpy reference."""

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from nmtool.noise import reference

torch = pytest.importorskip("torch")
from nmtool.interpreter import philox
from nmtool.interpreter.ops import noise
from nmtool.interpreter.philox import Source

PRIMITIVES = {
    "gaussian": ((0.3,), noise.gaussian_noise, reference.gaussian_noise),
    "lognormal": ((-0.1, 0.4), noise.lognormal_noise, reference.lognormal_noise),
    "stuck": (((0.1, 0.2, 0.05), (0.0, 1.5, -1.5)), noise.stuck_faults, reference.stuck_faults),
}


@pytest.fixture(autouse=True)
def draw_in_torch(monkeypatch):
    """The library's normals may differ by some units in the last place: docs/noise-spec.md."""
    monkeypatch.setattr(philox, "_LIBRARY", None)


def weights(*shape: int, dtype: type = np.float32) -> NDArray:
    return np.random.default_rng(shape).standard_normal(shape).astype(dtype)


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


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_everything_stays_on_the_device_of_the_weights(primitive: str) -> None:
    parameters, in_torch, _ = PRIMITIVES[primitive]
    x = torch.empty(3, 4, device="meta")  # has no values, but complains of other devices as any does
    source = Source(1, 2, torch.empty((), dtype=torch.int64, device="meta"))
    for scale in (torch.empty((), device="meta"), 1.0):
        noisy = in_torch(x, *parameters, source, scale)
        assert (noisy.device, noisy.shape) == (x.device, x.shape)
