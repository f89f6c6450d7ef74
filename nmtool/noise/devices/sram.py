"""SRAM with charge-domain products: mismatch of the capacitors."""

from dataclasses import dataclass
from typing import ClassVar

from nmtool.errors import UsageError
from nmtool.noise.device import Chip, Device, Term, require_within


@dataclass(frozen=True)
class Sram(Device):
    """A digital weight of sign and `bits` bits, whose size is a number of equal capacitors that share their charge.

    n = round(|w| N) of N = 2^bits - 1 unit capacitors of C (1 + mismatch z) each, z ~ N(0, 1): the weight is
    sign(w) (n + mismatch sqrt(n) z) / N. Areas add up and so do variances (Pelgrom's law: the relative deviation of a
    capacitor falls with the square root of its area).

    `noise_scale` multiplies the mismatch; the quantisation stays. Training passes gradients straight through it. Other
    errors (injected charge, noise of the comparators, converters) belong to the periphery. Cells of one bit each, with
    digital shift and add, are bit slices of this device with bits = 1.

    Source: Pelgrom, Duinmaijer, Welbers 1989 (JSSC 24:1433), "Matching properties of MOS transistors"; Valavi et al.
    2019 (JSSC 54:1789) for charge-domain products. The size of the mismatch depends on the process: 1 % is a round
    figure, not a measured one.

    Attributes:
        mismatch: relative standard deviation of a unit capacitor.
        bits: of the weight's size, 1 to 16; the sign is one more.
    """

    name: ClassVar[str] = "sram"
    signed: ClassVar[bool] = True
    mismatch: float = 0.01
    bits: int = 7

    def __post_init__(self) -> None:
        require_within(self.name, 0, 1, mismatch=self.mismatch)
        if not isinstance(self.bits, int) or not 1 <= self.bits <= 16:
            raise UsageError(f"bits of device `{self.name}` must be a whole number from 1 to 16, not {self.bits!r}")

    def program(self, target: Term, chip: Chip) -> Term:
        """See Device.program."""
        units = float(2**self.bits - 1)
        count = chip.round(target * units)
        size = chip.abs(count)
        spread = size / chip.sqrt(chip.maximum(size, 1.0))  # the root of the count, with a gradient at 0
        return chip.gaussian(count, spread * self.mismatch) / units
