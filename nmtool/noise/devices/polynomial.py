"""Gaussian noise whose size depends on the weight."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nmtool.errors import UsageError
from nmtool.noise.device import Chip, Term, polynomial, require_within
from nmtool.noise.devices.disturbance import Disturbance


@dataclass(frozen=True)
class Polynomial(Disturbance):
    """w + N(0, s(|w|)^2), s(x) = c0 + c1 x + c2 x^2 + ..., not below 0.

    State-dependent noise, for a device of which the programming error has been measured: phase-change memory has
    coefficients (0.0105392, 0.0786, -0.046924).

    Attributes:
        coefficients: c0, c1, ..., relative to the largest |w| of the array.
        drawn: "chip": when it is programmed; "run": at every run.
    """

    name: ClassVar[str] = "polynomial"
    coefficients: tuple[float, ...] = (0.0105392, 0.0786, -0.046924)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.coefficients, list | tuple) or len(self.coefficients) < 2:
            raise UsageError(
                f"coefficients of device `{self.name}` must be a list of two or more: {self.coefficients!r}",
                hint="a single one is the device `additive`",
            )
        require_within(self.name, -math.inf, math.inf, **{f"c{k}": c for k, c in enumerate(self.coefficients)})
        object.__setattr__(self, "coefficients", tuple(self.coefficients))  # hashable, if it was a list of a file

    def disturb(self, x: Term, chip: Chip) -> Term:
        """See Disturbance.disturb."""
        std = chip.maximum(polynomial(chip.abs(x), self.coefficients), 0.0)
        return chip.gaussian(x, std, self.drawn)
