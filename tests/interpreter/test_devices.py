"""Training through devices: gradients are finite and reach all weights, and rounding passes them on."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import nmtool
from build import model, weights
from nmtool.noise.cell import Cell
from nmtool.noise.device import Device
from nmtool.noise.devices import DEVICES
from nmtool.noise.devices.levels import Levels
from nmtool.noise.devices.sram import Sram
from nmtool.verbs.inject import inject

TEXT = "g (float[3,5] x) => (float[3,6] y) { y = MatMul(x, w) }"


def gradient(cell: Cell, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """That of the sum of the outputs at random inputs, and what it would be without cells."""
    module, x = nmtool.to_torch(inject(model(TEXT, w=w), noise=cell, seed=1).model), torch.tensor(weights(3, 5))
    module(x).sum().backward()
    (parameter,) = module.parameters()
    return parameter.grad.numpy(), np.broadcast_to(x.sum(0)[:, None].numpy(), w.shape)


@pytest.mark.parametrize("compensation", ["none", "channel"])
@pytest.mark.parametrize("device", DEVICES.values(), ids=list(DEVICES))
def test_gradients_are_finite_and_reach_all_weights(device: type[Device], compensation: str) -> None:
    """Also of the weights that are 0, where logarithms, roots and powers have no derivative: there they may be 0."""
    w = weights(5, 6)
    w[1, 2] = w[3, :] = 0
    found, _ = gradient(Cell((device(),), scale="channel", compensation=compensation), w)
    assert np.isfinite(found).all()
    assert np.mean(found[np.abs(w) > 0.2] != 0) > 0.9  # faults have none


@pytest.mark.parametrize("device", [Levels(3), Sram(mismatch=0, bits=2)], ids=repr)
def test_rounding_passes_gradients_straight_through(device: Device) -> None:
    w = weights(5, 6)
    found, expected = gradient(Cell((device,)), w)
    others = np.abs(w) < np.abs(w).max()  # the largest also scales the rest
    np.testing.assert_allclose(found[others], expected[others], rtol=1e-5)
