"""Uniform noise."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nmtool.noise.device import Chip, Drawn, Term, require_within
from nmtool.noise.devices.disturbance import Disturbance


@dataclass(frozen=True)
class Uniform(Disturbance):
    """w + U(-width, width), independent for each device; its standard deviation is width / sqrt(3).

    Attributes:
        width: half of the interval, relative to the largest |w| of the array.
        drawn: "chip": when it is programmed; "run": at every run.
    """

    name: ClassVar[str] = "uniform"
    width: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        require_within(self.name, 0, math.inf, width=self.width)

    def disturb(self, x: Term, chip: Chip) -> Term:
        """See Disturbance.disturb."""
        return x + symmetric_uniform(x, chip, self.drawn) * self.width * chip.scale


def symmetric_uniform(like: Term, chip: Chip, drawn: Drawn = "chip") -> Term:
    """Uniform numbers in (-1, 1): the squared radius of two standard normals is exponential of mean 2."""
    first, second = chip.normal(like, drawn), chip.normal(like, drawn)
    return 2.0 * chip.exp((first * first + second * second) * -0.5) - 1.0
