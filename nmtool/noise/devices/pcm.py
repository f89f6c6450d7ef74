"""Phase-change memory: programming noise, drift and 1/f read noise."""

from dataclasses import dataclass
from typing import ClassVar

from nmtool.errors import UsageError
from nmtool.noise.base import require_non_negative
from nmtool.noise.device import Chip, Device, Term


@dataclass(frozen=True)
class Pcm(Device):
    """Doped Ge2Sb2Te5 phase-change memory, characterised on a million devices in 90 nm technology.

    With g the conductance relative to g_max = 25 uS, natural logarithms, and t0 after the last programming pulse:

    - programming: g + N(0, s^2), s = (0.26348 + 1.9650 g - 1.1731 g^2) uS / 25 uS;
    - drift: g (t / t0)^-nu, nu = |N(m, d^2)|, m = -0.0155 ln g + 0.0244 within 0.049 to 0.1,
      d = -0.0125 ln g - 0.0059 within 0.008 to 0.045;
    - read: N(0, (g Q sqrt(ln((t + t_read) / (2 t_read))))^2), Q = 0.0088 / g^0.65 at most 0.2, t_read = 250 ns.

    Source: Nandakumar et al. 2019 (ICECS), "Phase-change memory models for deep learning training and inference"; Joshi
    et al. 2020 (Nature Communications 11:2473). Coefficients as in IBM's aihwkit, inference/noise/pcm.py.

    Attributes:
        t0: seconds from programming to the read-out that drift is relative to; `time` counts from there.
        programming: factor of the programming noise; 0 leaves it out.
        drifting: factor of the drift exponents, mean and spread.
        reading: factor of the read noise.
    """

    name: ClassVar[str] = "pcm"
    t0: float = 20.0
    programming: float = 1.0
    drifting: float = 1.0
    reading: float = 1.0

    def __post_init__(self) -> None:
        require_non_negative(self.name, programming=self.programming, drifting=self.drifting, reading=self.reading)
        if not self.t0 > 0:
            raise UsageError(f"t0 of device `pcm` must be a number of seconds > 0, not {self.t0}")

    def program(self, target: Term, chip: Chip) -> Term:
        """See Device.program."""
        sigma = (0.26348 + 1.9650 * target - 1.1731 * target * target) * (self.programming / 25.0)
        return chip.maximum(chip.gaussian(target, sigma), 0.0)

    def drift(self, programmed: Term, chip: Chip) -> Term:
        """See Device.drift."""
        logarithm = chip.log(chip.maximum(programmed, 1e-7))
        mean = chip.minimum(chip.maximum(-0.0155 * logarithm + 0.0244, 0.049), 0.1)
        spread = chip.minimum(chip.maximum(-0.0125 * logarithm - 0.0059, 0.008), 0.045)
        exponent = chip.abs(chip.gaussian(mean, spread)) * self.drifting
        return programmed * chip.exp(-exponent * chip.log((chip.time + self.t0) / self.t0))

    def read(self, conductance: Term, chip: Chip) -> Term:
        """See Device.read."""
        t_read = 250e-9
        relative = chip.minimum(0.0088 / chip.maximum(conductance**0.65, 1e-3), 0.2)
        growth = chip.sqrt(chip.log((chip.time + (self.t0 + t_read)) / (2 * t_read)))
        noisy = chip.gaussian(conductance, conductance * relative * growth * self.reading, drawn="run")
        return chip.maximum(noisy, 0.0)
