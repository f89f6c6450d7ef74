"""Additive Gaussian noise."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nmtool.noise.device import Chip, Term, require_within
from nmtool.noise.devices.disturbance import Disturbance


@dataclass(frozen=True)
class Additive(Disturbance):
    """w + N(0, std^2), independent for each device.

    The training noise of Joshi et al. 2020 (Nature Communications 11:2473); 0.038 is its strength in replications. In a
    pair both devices have it: the weight's deviation is sqrt(2) std.

    Attributes:
        std: standard deviation, relative to the largest |w| of the array (of the channel, if the cell maps channels).
        drawn: "chip": when it is programmed; "run": at every run.
    """

    name: ClassVar[str] = "additive"
    std: float = 0.038

    def __post_init__(self) -> None:
        super().__post_init__()
        require_within(self.name, 0, math.inf, std=self.std)

    def disturb(self, x: Term, chip: Chip) -> Term:
        """See Disturbance.disturb."""
        return chip.gaussian(x, self.std, self.drawn)
