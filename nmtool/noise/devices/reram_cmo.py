"""Resistive memory of conductive metal oxide on HfOx: programming noise, relaxation and read noise."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nmtool.errors import UsageError
from nmtool.noise.device import Chip, Device, Term, clip, require_within

_G_MIN, _G_MAX = 9.0, 88.199997  # uS
_RANGE = _G_MAX - _G_MIN
_PROGRAMMING = {0.2: (0.00081107, 0.00106879), 2.0: (0.0112185391, 0.01129027418)}  # uS and per uS, by acceptance in %
_T_READ = 1e-6


@dataclass(frozen=True)
class ReramCmo(Device):
    """CMO/HfOx resistive memory, written and verified until within a range of acceptance about the target.

    With G the conductance in uS, G = 9 uS + g (88.2 uS - 9 uS), and t seconds, at least 1:

    - programming: N(0, s^2), s = 0.00081107 uS + 0.00106879 G at 0.2 % acceptance, 0.0112185391 uS + 0.01129027418 G at
      2 %;
    - relaxation: N(m, d^2), m = -0.08900206 uS ln t, d = 0.41183342 uS + 0.04201137 uS ln t, for any G;
    - read, at every run: N(0, (0.0277316483 uS log10(G / uS) sqrt(ln((t + t_read) / (2 t_read))))^2), t_read = 1 us;
    - after relaxation and after reading, G is within 9 to 88.2 uS.

    Relaxation has been measured from 1 s on: before, it is that of 1 s. In a pair m cancels, but at the ends of the
    range. aihwkit has one device for a weight, from 9 uS for the smallest to 88.2 uS for the largest; here, as in any
    cell with pairs, each of two devices has the whole range for one sign.

    Source: Falcone et al. 2025, "All-in-one analog AI accelerator: on-chip training and inference with
    conductive-metal-oxide/HfOx ReRAM devices" (arXiv 2502.04524); Lombardo et al. 2024 (DRC) for read noise.
    Coefficients as in IBM's aihwkit, inference/noise/reram.py.

    Attributes:
        acceptance: range of acceptance of write and verify, in % of the wanted conductance: 0.2 or 2.
        programming: factor of the programming noise; 0 leaves it out.
        relaxing: factor of the relaxation, mean and spread.
        reading: factor of the read noise.
    """

    name: ClassVar[str] = "reram-cmo"
    acceptance: float = 0.2
    programming: float = 1.0
    relaxing: float = 1.0
    reading: float = 1.0

    def __post_init__(self) -> None:
        factors = {"programming": self.programming, "relaxing": self.relaxing, "reading": self.reading}
        require_within(self.name, 0, math.inf, **factors)
        if self.acceptance not in _PROGRAMMING:
            raise UsageError(f"acceptance of device `{self.name}` must be 0.2 or 2 (%), not {self.acceptance!r}")

    def program(self, target: Term, chip: Chip) -> Term:
        """See Device.program."""
        offset, slope = _PROGRAMMING[self.acceptance]
        return chip.gaussian(target, (offset + slope * (_G_MIN + _RANGE * target)) * (self.programming / _RANGE))

    def drift(self, conductance: Term, target: Term, chip: Chip) -> Term:
        """See Device.drift."""
        elapsed = chip.log(chip.maximum(chip.time, 1.0))
        shifted = conductance - 0.08900206 * self.relaxing / _RANGE * elapsed
        spread = (0.41183342 + 0.04201137 * elapsed) * (self.relaxing / _RANGE)
        return clip(chip.gaussian(shifted, spread), 0.0, 1.0, chip)

    def read(self, conductance: Term, target: Term, chip: Chip) -> Term:
        """See Device.read."""
        digits = chip.log(_G_MIN + _RANGE * conductance) / math.log(10)
        growth = chip.sqrt(chip.log((chip.maximum(chip.time, 1.0) + _T_READ) / (2 * _T_READ)))
        spread = digits * growth * (0.0277316483 * self.reading / _RANGE)
        return clip(chip.gaussian(conductance, spread, drawn="run"), 0.0, 1.0, chip)
