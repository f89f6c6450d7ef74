"""Sharpness-aware steps against a loss whose gradient is known everywhere."""

import pytest

torch = pytest.importorskip("torch")
from nmtool.training.sharpness import ascended


def test_gradient_is_that_at_the_point_uphill_and_the_weights_come_back():
    """Loss a.w^2 / 2: gradient a*w; uphill at w + radius a*w / |a*w|, over both parameters together."""
    curvature = [torch.tensor([1.0, 2.0]), torch.tensor([3.0])]
    start = [torch.tensor([2.0, -1.0]), torch.tensor([0.5])]
    weights = [each.clone().requires_grad_() for each in start]

    def gradient():
        for each in weights:
            each.grad = None
        sum((a * w * w).sum() / 2 for a, w in zip(curvature, weights, strict=True)).backward()

    gradient()
    uphill = torch.cat([a * w for a, w in zip(curvature, start, strict=True)])
    moved = torch.cat(start) + 0.25 * uphill / uphill.norm()
    with ascended(weights, 0.25):
        torch.testing.assert_close(torch.cat([each.detach() for each in weights]), moved)
        gradient()
    torch.testing.assert_close(torch.cat([each.grad for each in weights]), torch.cat(curvature) * moved)
    assert all(torch.equal(each.detach(), before) for each, before in zip(weights, start, strict=True))


def test_flat_point_stays():
    weight = torch.ones(3, requires_grad=True)
    weight.grad = torch.zeros(3)
    with ascended([weight], 0.5):
        assert torch.equal(weight.detach(), torch.ones(3))
