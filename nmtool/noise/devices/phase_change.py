"""Phase-change memory: programming noise, drift and 1/f read noise, whose sizes depend on the conductance."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from nmtool.noise.device import Chip, Device, Term, clip, require_within

_SMALLEST = 1e-7  # of the conductances of which logarithms and powers are taken


@dataclass(frozen=True, kw_only=True)
class PhaseChange(Device):
    """A phase-change device; what was measured is left to the models of single technologies.

    With g the conductance that was wanted, G the one that is there, t seconds since t0:

    - programming: G = g + N(0, s(g)^2), at least 0;
    - drift: G ((t + t0) / t0)^-nu, nu = |N(m(g), d(g)^2)|;
    - read, at every run: G + N(0, (G Q(g) sqrt(ln((t + t0 + t_read) / (2 t_read))))^2), at least 0.

    Attributes:
        programming: factor of the programming noise; 0 leaves it out.
        drifting: factor of the drift exponents, mean and spread.
        reading: factor of the read noise.
    """

    t_read: ClassVar[float]
    programming: float = 1.0
    drifting: float = 1.0
    reading: float = 1.0

    def __post_init__(self) -> None:
        factors = {"programming": self.programming, "drifting": self.drifting, "reading": self.reading}
        require_within(self.name, 0, float("inf"), **factors)
        require_within(self.name, 1e-6, float("inf"), t0=self.t0)

    @property
    @abstractmethod
    def t0(self) -> float:
        """Seconds from the last programming pulse to the read-out that drift is relative to."""

    @abstractmethod
    def programming_std(self, target: Term, chip: Chip) -> Term:
        """s(g), relative to g_max."""

    @abstractmethod
    def exponent(self, target: Term, logarithm: Term, chip: Chip) -> tuple[Term, Term]:
        """m(g) and d(g); `logarithm` is ln g."""

    @abstractmethod
    def read_spread(self, target: Term, logarithm: Term, chip: Chip) -> Term:
        """Q(g)."""

    def program(self, target: Term, chip: Chip) -> Term:
        """See Device.program."""
        return chip.maximum(chip.gaussian(target, self.programming_std(target, chip) * self.programming), 0.0)

    def drift(self, conductance: Term, target: Term, chip: Chip) -> Term:
        """See Device.drift."""
        mean, spread = self.exponent(target, chip.log(chip.maximum(target, _SMALLEST)), chip)
        exponent = chip.abs(chip.gaussian(mean, spread)) * self.drifting
        return conductance * chip.exp(-exponent * chip.log((chip.time + self.t0) / self.t0))

    def read(self, conductance: Term, target: Term, chip: Chip) -> Term:
        """See Device.read."""
        spread = self.read_spread(target, chip.log(chip.maximum(target, _SMALLEST)), chip) * self.reading
        growth = chip.sqrt(chip.log((chip.time + (self.t0 + self.t_read)) / (2 * self.t_read)))
        return chip.maximum(chip.gaussian(conductance, conductance * spread * growth, drawn="run"), 0.0)


def logarithmic(intercept: float, slope: float, low: float, high: float, logarithm: Term, chip: Chip) -> Term:
    """The usual fit of what depends on conductance: intercept + slope ln g, within low to high."""
    return clip(intercept + slope * logarithm, low, high, chip)
