"""Photonic weights: phase errors of Mach-Zehnder interferometers."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nmtool.noise.device import Chip, Device, Term, require_within


@dataclass(frozen=True)
class Mzi(Device):
    """A weight as the balanced transmission cos(phi) of an interferometer whose phase is off by N(0, phase^2).

    w cos(e) - sqrt(1 - w^2) sin(e), e ~ N(0, phase^2): mean w exp(-phase^2 / 2), variance
    (1 + (2 w^2 - 1) exp(-2 phase^2)) / 2 - w^2 exp(-phase^2). Small weights are the least exact, where
    cos(phi) is steepest: to first order the deviation is sqrt(1 - w^2) phase.

    Each weight has an interferometer of its own (a weight bank). A mesh that factorises the whole matrix into rotations
    spreads each error over many weights, which this does not describe. Shot and thermal noise and that of
    the laser's intensity are on the output, not on the weights: they belong to the periphery.

    Source: the transmission of an ideal interferometer with balanced detection; phase errors as in Banerjee et al. 2021
    ("Modeling silicon-photonic neural networks under uncertainties").

    Attributes:
        phase: standard deviation of the phase difference, radians; from fabrication, and from what sets it.
    """

    name: ClassVar[str] = "mzi"
    signed: ClassVar[bool] = True
    phase: float = 0.02

    def __post_init__(self) -> None:
        require_within(self.name, 0, math.pi, phase=self.phase)

    def program(self, target: Term, chip: Chip) -> Term:
        """See Device.program."""
        error = chip.normal(target) * (self.phase * chip.scale)
        quadrature = chip.sqrt(chip.maximum(1.0 - target * target, 1e-6))  # at +-1 the gradient would be infinite
        return target * chip.cos(error) - quadrature * chip.cos(error - math.pi / 2)
