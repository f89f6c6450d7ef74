"""Multiplicative lognormal noise: conductance spread of filamentary devices, and drift."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nmtool.noise.base import Parameter, Stage, WeightStatistics, require_non_negative, root_mean_square


@dataclass(frozen=True)
class Lognormal:
    """W * exp(theta), theta ~ N(0, eta^2), independent for each weight.

    The usual model of conductance variation that grows with the conductance; eta of 0.1 to 0.5 is what the ReRAM
    literature sweeps. The factor's mean is exp(eta^2 / 2), not 1: large eta also enlarges the weights.

    Attributes:
        eta: standard deviation of the logarithm of the factor, without unit, >= 0.
    """

    name: ClassVar[str] = "lognormal"
    eta: float = 0.05

    def __post_init__(self) -> None:
        require_non_negative(self.name, eta=self.eta)

    def stages(self) -> tuple[Stage, ...]:
        """One LognormalNoise of mean 0 and std eta."""
        return (Stage("LognormalNoise", (Parameter(0.0), Parameter(self.eta))),)

    def sigma(self, weights: WeightStatistics) -> float:
        """sqrt(E[W^2] E[(exp(theta) - 1)^2]), with E[exp(k theta)] = exp(k^2 eta^2 / 2)."""
        variance = np.exp(2 * self.eta**2) - 2 * np.exp(self.eta**2 / 2) + 1
        return root_mean_square(np.sqrt((weights.mean**2 + weights.std**2) * variance))
