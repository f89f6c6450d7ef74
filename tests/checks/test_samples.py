import numpy as np
import pytest

from nmtool.checks.samples import comparable, effect, visible
from nmtool.errors import ModelError

OUTPUTS = ["real", "class"]


class Runtime:
    """A runtime whose outputs are functions of the trial and the scale."""

    def __init__(self, real, takes_trial=True):
        self.real, self.runner, self.takes_trial, self.runs = real, self, takes_trial, 0

    def run(self, outputs, feeds, trial, scale):
        self.runs += 1
        return [np.asarray(self.real(trial, scale), np.float32), np.array([trial])]


def ignore(done):
    pass


def test_the_output_without_noise_is_subtracted():
    runtime = Runtime(lambda trial, scale: [[5, 7 + scale * trial]])
    found = effect(runtime, OUTPUTS, {}, range(2, 5), 60, ignore)
    np.testing.assert_array_equal(found.values, [[0, 2], [0, 3], [0, 4]])
    np.testing.assert_array_equal(found.clean, [5, 7])
    np.testing.assert_array_equal(visible([found]), [False, True])


def test_elements_that_are_not_finite_are_left_out():
    found = effect(
        Runtime(lambda trial, scale: [trial, -np.inf, 1 / scale if scale else 0]), OUTPUTS, {}, range(1, 4), 60, ignore
    )
    np.testing.assert_array_equal(visible([found]), [True, False, False])


def test_values_that_differ_by_rounding_alone_are_the_same():
    exact, rounded = (
        effect(
            Runtime(lambda trial, scale, zero=zero: [scale * trial % 2 or zero, 3.0]), OUTPUTS, {}, range(4), 60, ignore
        )
        for zero in (0.0, 1e-39)
    )
    first, second = comparable([exact, rounded])
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, [[0], [1], [0], [1]], rtol=1e-5)


def test_what_runtimes_differ_by_without_noise_is_no_effect():
    """In a deep network one runtime's 0.001 is another's 0.0012, with any noise; the other output is alike."""
    first, second = (
        effect(
            Runtime(lambda trial, scale, shift=shift: [10 + scale * trial, 1e-3 + shift + 1e-4 * scale * (trial % 2)]),
            OUTPUTS,
            {},
            range(4),
            60,
            ignore,
        )
        for shift in (0.0, 2e-4)
    )
    np.testing.assert_array_equal(visible([first]), [True, True])
    np.testing.assert_array_equal(visible([first, second]), [True, False])
    assert comparable([first, second])[0].shape == (4, 1)


def test_runs_that_choose_no_trial_skip_those_of_the_other_side():
    runtime = Runtime(lambda trial, scale: [1.0], takes_trial=False)
    effect(runtime, OUTPUTS, {}, range(3, 6), 60, ignore)
    assert runtime.runs == 1 + 3 + 3


def test_what_cannot_be_compared():
    with pytest.raises(ModelError, match="change their shapes"):
        effect(Runtime(lambda trial, scale: [0.0] * (1 + trial)), OUTPUTS, {}, range(1, 4), 60, ignore)
    with pytest.raises(ModelError, match="3 trials would take"):
        effect(Runtime(lambda trial, scale: [0.0]), OUTPUTS, {}, range(3), 0.0, ignore)
