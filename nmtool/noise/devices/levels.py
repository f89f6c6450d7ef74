"""Conductance levels, written and verified to a tolerance."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nmtool.errors import UsageError
from nmtool.noise.device import Chip, Device, Term, require_within
from nmtool.noise.devices.uniform import symmetric_uniform


@dataclass(frozen=True)
class Levels(Device):
    """A device with a number of levels: the nearest of k / (levels - 1), k = 0 ... levels - 1, plus U(-tol, tol).

    Writing is repeated until the conductance read is within the tolerance about the level, and stops there: any value
    that is accepted is taken as equally likely. At least 0. A pair has 2 levels - 1 values.

    `noise_scale` multiplies the tolerance; the levels stay, whatever it is. Training passes gradients straight through
    the rounding.

    Attributes:
        levels: at least 2.
        tolerance: half the width of what is accepted, relative to the highest conductance; below half the distance of
            levels, they do not overlap.
    """

    name: ClassVar[str] = "levels"
    levels: int = 16
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.levels, int) or not 2 <= self.levels <= 65536:
            raise UsageError(f"levels of device `{self.name}` must be a whole number from 2 to 65536: {self.levels!r}")
        require_within(self.name, 0, math.inf, tolerance=self.tolerance)

    def program(self, target: Term, chip: Chip) -> Term:
        """See Device.program."""
        steps = float(self.levels - 1)
        level = chip.round(target * steps) / steps
        if self.tolerance == 0:
            return level
        return chip.maximum(level + symmetric_uniform(level, chip) * self.tolerance * chip.scale, 0.0)
