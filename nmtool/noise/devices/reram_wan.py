"""Resistive memory: deviation from the target at three times after programming."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nmtool.noise.device import Chip, Device, Term, polynomial, require_within

_DAY = 86400.0
_FITS = {  # uS, of powers of g, for seconds after programming
    1.0: (0.348, 16.030, -43.853, 45.393, -16.815),
    _DAY: (0.701, 22.086, -50.773, 47.095, -16.458),
    2 * _DAY: (0.782, 20.274, -43.507, 37.062, -11.934),
}
_G_MAX = 40.0  # uS


@dataclass(frozen=True)
class ReramWan(Device):
    """HfOx resistive memory of the NeuRRAM chip: deviation from the wanted conductance.

    The conductance is g + s(g, t) z, at least 0, with z ~ N(0, 1) drawn once: a device that is too high stays so. With
    g_max = 40 uS,

    - s(g, 1 s) = (0.348 + 16.030 g - 43.853 g^2 + 45.393 g^3 - 16.815 g^4) uS / 40 uS;
    - s(g, 1 day) = (0.701 + 22.086 g - 50.773 g^2 + 47.095 g^3 - 16.458 g^4) uS / 40 uS;
    - s(g, 2 days) = (0.782 + 20.274 g - 43.507 g^2 + 37.062 g^3 - 11.934 g^4) uS / 40 uS.

    Measured at these times only. Between them s is linear in ln t, which is an interpolation of ours. Before 1 s it is
    that of 1 s, and after 2 days that of 2 days: nothing is known of later times. Read noise was not measured apart;
    aihwkit recommends 1 % of the largest weight: add a device `additive` of std 0.007 drawn per run.

    Source: Wan et al. 2022 (Nature 608:504), "A compute-in-memory chip based on resistive random-access memory".
    Polynomials as fitted to its figures in IBM's aihwkit, inference/noise/reram.py.

    Attributes:
        programming: factor of the deviation.
    """

    name: ClassVar[str] = "reram-wan"
    programming: float = 1.0

    def __post_init__(self) -> None:
        require_within(self.name, 0, math.inf, programming=self.programming)

    def program(self, target: Term, chip: Chip) -> Term:
        """See Device.program."""
        first = polynomial(target, _FITS[1.0]) * (self.programming / _G_MAX)
        return chip.maximum(chip.gaussian(target, first), 0.0)

    def drift(self, conductance: Term, target: Term, chip: Chip) -> Term:
        """Scale the deviation from the target: see Device.drift.

        What programming has cut off at 0 stays 0, because no deviation is smaller than at 1 s.
        """
        elapsed = chip.log(chip.maximum(chip.time, 1.0))
        day, two_days = math.log(_DAY), math.log(2 * _DAY)
        to_day = chip.minimum(elapsed / day, 1.0)
        to_two_days = chip.maximum(chip.minimum((elapsed - day) / (two_days - day), 1.0), 0.0)
        first, second, third = (polynomial(target, fit) for fit in _FITS.values())
        std = first + (second - first) * to_day + (third - second) * to_two_days
        return chip.maximum(target + (conductance - target) * (std / first), 0.0)
