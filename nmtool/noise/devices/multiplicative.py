"""Multiplicative Gaussian noise."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nmtool.noise.device import Chip, Term, require_within
from nmtool.noise.devices.disturbance import Disturbance


@dataclass(frozen=True)
class Multiplicative(Disturbance):
    """w (1 + N(0, std^2)), independent for each device: a gain that varies from one to the next.

    Attributes:
        std: standard deviation, relative to the weight itself.
        drawn: "chip": when it is programmed; "run": at every run.
    """

    name: ClassVar[str] = "multiplicative"
    std: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        require_within(self.name, 0, math.inf, std=self.std)

    def disturb(self, x: Term, chip: Chip) -> Term:
        """See Disturbance.disturb."""
        return chip.gaussian(x, chip.abs(x) * self.std, self.drawn)
