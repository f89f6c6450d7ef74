"""Drift by a power law."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nmtool.noise.device import Chip, Device, Term, require_within


@dataclass(frozen=True)
class Drift(Device):
    """w ((t + t0) / t0)^-nu, nu ~ N(nu, nu_std^2) for each device, t seconds after the read-out at t0.

    Where `pcm` has exponents that depend on conductance, this has the same for all: a lognormal factor, of mean
    exp(-nu L + nu_std^2 L^2 / 2) and variance (exp(nu_std^2 L^2) - 1) times the square of that, L = ln((t + t0) / t0).

    Source: Le Gallo et al. 2018 (Advanced Electronic Materials 4:1700627), "Collective structural relaxation in
    phase-change memory devices".

    Attributes:
        nu: mean exponent; 0.05 is usual for amorphous Ge2Sb2Te5, less with projection liners.
        nu_std: standard deviation of the exponent from device to device.
        t0: seconds from programming to the read-out that drift is relative to; `time` counts from there.
    """

    name: ClassVar[str] = "drift"
    signed: ClassVar[bool] = True
    nu: float = 0.05
    nu_std: float = 0.01
    t0: float = 1.0

    def __post_init__(self) -> None:
        require_within(self.name, -math.inf, math.inf, nu=self.nu)
        require_within(self.name, 0, math.inf, nu_std=self.nu_std)
        require_within(self.name, 1e-6, math.inf, t0=self.t0)

    def drift(self, conductance: Term, target: Term, chip: Chip) -> Term:
        """See Device.drift."""
        exponent = self.nu + chip.normal(conductance) * (self.nu_std * chip.scale)
        return conductance * chip.exp(-exponent * chip.log((chip.time + self.t0) / self.t0))
