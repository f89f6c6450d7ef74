"""Phase-change memory of 90 nm technology."""

from dataclasses import dataclass
from typing import ClassVar

from nmtool.noise.device import Chip, Term, polynomial
from nmtool.noise.devices.phase_change import PhaseChange, logarithmic


@dataclass(frozen=True)
class Pcm(PhaseChange):
    """Doped Ge2Sb2Te5 mushroom cells of 90 nm technology.

    In the equations of PhaseChange, with natural logarithms, g_max = 25 uS and t_read = 250 ns:

    - s = (0.26348 + 1.9650 g - 1.1731 g^2) uS / 25 uS;
    - m = -0.0155 ln g + 0.0244 within 0.049 to 0.1;
    - d = -0.0125 ln g - 0.0059 within 0.008 to 0.045;
    - Q = 0.0088 / g^0.65, at most 0.2.

    Source: Nandakumar et al. 2019 (ICECS), "Phase-change memory models for deep learning training and inference"; Joshi
    et al. 2020 (Nature Communications 11:2473). Coefficients as in IBM's aihwkit, inference/noise/pcm.py.

    Attributes:
        t0: seconds from programming to the read-out that drift is relative to; `time` counts from there.
        programming: factor of the programming noise; 0 leaves it out.
        drifting: factor of the drift exponents, mean and spread.
        reading: factor of the read noise.
    """

    name: ClassVar[str] = "pcm"
    t_read: ClassVar[float] = 250e-9
    t0: float = 20.0

    def programming_std(self, target: Term, chip: Chip) -> Term:
        """See PhaseChange.programming_std."""
        return polynomial(target, (0.26348, 1.9650, -1.1731)) / 25.0

    def exponent(self, target: Term, logarithm: Term, chip: Chip) -> tuple[Term, Term]:
        """See PhaseChange.exponent."""
        mean = logarithmic(0.0244, -0.0155, 0.049, 0.1, logarithm, chip)
        return mean, logarithmic(-0.0059, -0.0125, 0.008, 0.045, logarithm, chip)

    def read_spread(self, target: Term, logarithm: Term, chip: Chip) -> Term:
        """See PhaseChange.read_spread."""
        return chip.minimum(0.0088 * chip.exp(-0.65 * logarithm), 0.2)
