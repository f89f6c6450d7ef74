"""Lognormal spread of conductance."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nmtool.noise.device import Chip, Term, require_within
from nmtool.noise.devices.disturbance import Disturbance


@dataclass(frozen=True)
class Lognormal(Disturbance):
    """w exp(N(0, std^2)), independent for each device: the conductance spread of filamentary resistive memory.

    The factor's mean is exp(std^2 / 2), its variance (exp(std^2) - 1) exp(std^2).

    Attributes:
        std: standard deviation of the logarithm of the factor, without unit; 0.1 to 0.5 in the literature.
        drawn: "chip": when it is programmed; "run": at every run.
    """

    name: ClassVar[str] = "lognormal-spread"
    std: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_within(self.name, 0, math.inf, std=self.std)

    def disturb(self, x: Term, chip: Chip) -> Term:
        """See Disturbance.disturb."""
        return x * chip.exp(chip.normal(x, self.drawn) * self.std * chip.scale)
