"""The size of the noise against what inject resolves."""

import numpy as np
import onnx_ir as ir
import pytest

from nmtool.errors import UsageError
from nmtool.passes.statistics import statistics

torch = pytest.importorskip("torch")
from nmtool.training.sizes import measure, size


def weights(*shape):
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


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
    for unit in ("one", "range", "max", "std"):
        measured = measure(torch.tensor(w, requires_grad=True), unit, axis, groups)
        assert not measured.requires_grad
        assert measured.shape == expected.unit(unit).shape
        np.testing.assert_allclose(measured.numpy(), expected.unit(unit), rtol=1e-12)


def test_equal_weights_have_no_spread() -> None:
    w = torch.full((3, 1000), 0.1)
    assert measure(w, "std") == 0
    assert not measure(w, "std", 0).any()


def test_a_parameter_of_several_values_has_no_form_per_channel():
    w = torch.tensor(weights(3, 4))
    np.testing.assert_allclose(size(w, (0.0, 2.0), "max"), [0, 2 * w.abs().max()])
    with pytest.raises(UsageError, match="per-channel"):
        size(w, (0.0, 2.0), "max", 0)
