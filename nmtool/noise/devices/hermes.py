"""Phase-change memory of the HERMES project chip."""

from dataclasses import dataclass
from typing import ClassVar

from nmtool.errors import UsageError
from nmtool.noise.device import Chip, Term, polynomial
from nmtool.noise.devices.phase_change import PhaseChange, logarithmic


@dataclass(frozen=True)
class Hermes(PhaseChange):
    """Phase-change devices of the IBM HERMES project chip, one or two for each conductance.

    In the equations of PhaseChange, with natural logarithms and t_read = 512 ns; m is the same for both:

    - m = -0.0387 ln g - 0.0182 within 0.072 to 0.13 for g < 0.0945, else 0.0736 - 0.0126 g - 0.0436 g^2.

    One device: g_max = 10.35 uS, t0 = 200 s,

    - s = (0.15781817 + 2.32443916 g - 2.16310839 g^2 + 0.68841818 g^3) uS / g_max;
    - d = -0.0120 ln g - 0.0023 within 0.0124 to 0.04 for g < 0.3039, else 0.0104 + 0.0116 g - 0.0165 g^2;
    - Q = -0.0078 ln g + 0.0038 within 0.0179 to 0.04 for g < 0.1591, else 0.0088 + 0.0768 g - 0.1352 g^2 + 0.0664 g^3.

    Two devices in parallel: g_max = 20.7 uS, t0 = 300 s,

    - s = (0.16603222 + 4.71806468 g - 8.48101252 g^2 + 4.68961419 g^3) uS / g_max;
    - d = -0.0117 ln g - 0.0057 within 0.0091 to 0.04 for g < 0.3055, else 0.0073 + 0.0093 g - 0.0118 g^2;
    - Q = -0.0117 ln g - 0.0069 within 0.015 to 0.04 for g < 0.16, else 0.0123 + 0.0211 g - 0.0280 g^2 + 0.0069 g^3.

    Source: Le Gallo et al. 2023 (Nature Electronics 6), Khaddam-Aljameh et al. 2022 (JSSC 57), Vasilopoulos et al. 2023
    (IEEE Transactions on Electron Devices 70). Coefficients as in IBM's aihwkit, inference/noise/hermes.py.

    Attributes:
        parallel: devices whose conductances add up: 1 or 2.
        programming: factor of the programming noise; 0 leaves it out.
        drifting: factor of the drift exponents, mean and spread.
        reading: factor of the read noise.
    """

    name: ClassVar[str] = "hermes"
    t_read: ClassVar[float] = 512e-9
    parallel: int = 2

    def __post_init__(self) -> None:
        if self.parallel not in (1, 2):
            raise UsageError(f"parallel of device `hermes` must be 1 or 2, not {self.parallel!r}")
        super().__post_init__()

    @property
    def t0(self) -> float:
        """See PhaseChange.t0."""
        return 200.0 if self.parallel == 1 else 300.0

    def programming_std(self, target: Term, chip: Chip) -> Term:
        """See PhaseChange.programming_std."""
        if self.parallel == 1:
            return polynomial(target, (0.15781817, 2.32443916, -2.16310839, 0.68841818)) / 10.35
        return polynomial(target, (0.16603222, 4.71806468, -8.48101252, 4.68961419)) / 20.7

    def exponent(self, target: Term, logarithm: Term, chip: Chip) -> tuple[Term, Term]:
        """See PhaseChange.exponent."""
        small = logarithmic(-0.0182, -0.0387, 0.0720, 0.13, logarithm, chip)
        mean = chip.where(target < 0.0945, small, polynomial(target, (0.0736, -0.0126, -0.0436)))
        if self.parallel == 1:
            small = logarithmic(-0.0023, -0.0120, 0.0124, 0.04, logarithm, chip)
            return mean, chip.where(target < 0.3039, small, polynomial(target, (0.0104, 0.0116, -0.0165)))
        small = logarithmic(-0.0057, -0.0117, 0.0091, 0.04, logarithm, chip)
        return mean, chip.where(target < 0.3055, small, polynomial(target, (0.0073, 0.0093, -0.0118)))

    def read_spread(self, target: Term, logarithm: Term, chip: Chip) -> Term:
        """See PhaseChange.read_spread."""
        if self.parallel == 1:
            small = logarithmic(0.0038, -0.0078, 0.0179, 0.04, logarithm, chip)
            return chip.where(target < 0.1591, small, polynomial(target, (0.0088, 0.0768, -0.1352, 0.0664)))
        small = logarithmic(-0.0069, -0.0117, 0.015, 0.04, logarithm, chip)
        return chip.where(target < 0.16, small, polynomial(target, (0.0123, 0.0211, -0.0280, 0.0069)))
