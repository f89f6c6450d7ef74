"""Stuck-at faults of devices."""

from dataclasses import dataclass
from typing import ClassVar

from nmtool.errors import UsageError
from nmtool.noise.device import Chip, Device, Term, require_within


@dataclass(frozen=True)
class Faults(Device):
    """Devices that do not take what is written to them: stuck at the lowest or at the highest conductance.

    They are stuck when they are programmed. List it behind the device whose programming noise they do not have; drift
    and read noise of the other devices act on them as on any.

    Published yields differ by orders of magnitude; 10 % of faulty cells have been reported for a resistive test chip
    (doi 10.3390/electronics10192427). The rates are to be measured: the defaults are an example.

    Attributes:
        low: probability of being stuck at conductance 0 (an open device, or one that cannot be set).
        high: probability of being stuck at the highest conductance (a short, or one that cannot be reset).
    """

    name: ClassVar[str] = "faults"
    low: float = 0.01
    high: float = 0.001

    def __post_init__(self) -> None:
        require_within(self.name, 0, 1, low=self.low, high=self.high)
        if self.low + self.high > 1:
            raise UsageError(f"low and high of device `{self.name}` add up to {self.low + self.high:g}, more than 1")

    def program(self, target: Term, chip: Chip) -> Term:
        """See Device.program."""
        return chip.faults(target, (self.low, self.high), (0.0, 1.0))
