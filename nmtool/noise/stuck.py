"""Stuck-at faults: cells that no longer take the value written to them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nmtool.errors import UsageError
from nmtool.noise.base import Parameter, Stage, WeightStatistics, require_non_negative, root_mean_square


@dataclass(frozen=True)
class Stuck:
    """Each weight is stuck with probability eta: at zero, or at plus or minus the largest |W| of its array.

    Attributes:
        eta: probability that a weight is stuck, 0 <= eta <= 1.
        high: share of the stuck weights that is stuck high, 0 <= high <= 1: half of them at +max |W|, half at
            -max |W| (the two devices of a differential pair fail alike); the rest is stuck at zero.
    """

    name: ClassVar[str] = "stuck"
    eta: float = 0.05
    high: float = 0.0

    def __post_init__(self) -> None:
        require_non_negative(self.name, eta=self.eta, high=self.high)
        if self.eta > 1 or self.high > 1:
            raise UsageError(f"eta and high of noise model `stuck` must be at most 1, not {self.eta} and {self.high}")

    def stages(self) -> tuple[Stage, ...]:
        """One StuckFaults with the values 0, +max |W|, -max |W|."""
        share = self.eta * self.high / 2
        probabilities = Parameter((self.eta * (1 - self.high), share, share))
        return (Stage("StuckFaults", (probabilities, Parameter((0.0, 1.0, -1.0), "max"))),)

    def sigma(self, weights: WeightStatistics) -> float:
        """sqrt(eta * ((1 - high) E[W^2] + high (max^2 + E[W^2]))): the cross terms of +max and -max cancel."""
        mean_square = weights.mean**2 + weights.std**2
        return root_mean_square(np.sqrt(self.eta * (mean_square + self.high * weights.unit("max") ** 2)))
