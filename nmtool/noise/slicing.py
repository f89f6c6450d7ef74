"""Slicing: one weight held by several devices of few bits each."""

from dataclasses import dataclass

from nmtool.errors import UsageError


@dataclass(frozen=True)
class Slicing:
    """A weight as a signed integer, cut into slices that are cells of their own (Shafiee et al. 2016, "ISAAC").

    A weight w / s in [-1, 1] becomes an integer of magnitude up to n = 2^(bits - 1) - 1. Its magnitude is cut into
    digits of `per_slice` bits, least significant first, and a cell holds each: digit d of a weight is the conductance
    sign * d / (2^per_slice - 1), so that every slice uses the whole range of its devices. What slice k computes counts
    `factors[k]` times.

    Attributes:
        bits: of a weight, its sign included.
        per_slice: bits that one cell holds.
    """

    bits: int
    per_slice: int

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 24:
            raise UsageError(f"bits of sliced weights must be 2 to 24, sign included, not {self.bits}")
        if not 1 <= self.per_slice < self.bits:
            raise UsageError(
                f"bits per slice must be 1 to {self.bits - 1} for weights of {self.bits} bits, not {self.per_slice}"
            )

    @property
    def levels(self) -> int:
        """The largest magnitude of the integers."""
        return (1 << self.bits - 1) - 1

    @property
    def powers(self) -> tuple[int, ...]:
        """What a digit of each slice counts, least significant first."""
        return digit_powers(self.levels, self.per_slice)

    @property
    def factors(self) -> tuple[float, ...]:
        """What the product of each slice is multiplied by before they are added."""
        return digit_factors(self.levels, self.per_slice)


def digit_powers(levels: int, bits: int) -> tuple[int, ...]:
    """The powers of 2^bits that integers up to `levels` have digits of, ascending."""
    return tuple(2**shift for shift in range(0, levels.bit_length(), bits))


def digit_factors(levels: int, bits: int) -> tuple[float, ...]:
    """What full-scale digits (digit / (2^bits - 1)) are multiplied by to add up to integer / levels."""
    return tuple(power * (2**bits - 1) / levels for power in digit_powers(levels, bits))
