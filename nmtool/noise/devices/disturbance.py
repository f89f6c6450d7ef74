"""Noise of one distribution on what the device holds, whatever the device."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from nmtool.errors import UsageError
from nmtool.noise.device import Chip, Device, Drawn, Term


@dataclass(frozen=True, kw_only=True)
class Disturbance(Device):
    """A device of which only the distribution of its noise is known, not what it depends on.

    It takes both signs, so it also fits cells without pairs; nothing keeps it within a range.

    Attributes:
        drawn: "chip": when it is programmed; "run": at every run.
    """

    signed: ClassVar[bool] = True
    drawn: Drawn = "chip"

    def __post_init__(self) -> None:
        if self.drawn not in ("chip", "run"):
            raise UsageError(f"drawn of device `{self.name}` must be chip or run, not {self.drawn!r}")

    @abstractmethod
    def disturb(self, x: Term, chip: Chip) -> Term:
        """The value with noise; it passes self.drawn on to what it draws."""

    def program(self, target: Term, chip: Chip) -> Term:
        """See Device.program."""
        return self.disturb(target, chip) if self.drawn == "chip" else target

    def read(self, conductance: Term, target: Term, chip: Chip) -> Term:
        """See Device.read."""
        return self.disturb(conductance, chip) if self.drawn == "run" else conductance
