"""The periphery of an analog array: what is between the digital world and the cells."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from nmtool.errors import UsageError
from nmtool.noise.base import require_non_negative
from nmtool.noise.slicing import digit_factors, digit_powers
from nmtool.noise.tiling import Tile as Tile

Range: TypeAlias = float | Literal["dynamic", "calibrated"]
"""A number; "dynamic": the largest |signal| of each sample; "calibrated": what `nmtool calibrate` finds per node."""

MAX_LEVELS = 2**24
"""float32 holds all integers up to this one."""


@dataclass(frozen=True)
class Converter:
    """A converter between digital and analog signals (DAC or ADC): limits a signal to its range, and rounds it.

    Signed: the range is [-r, r] in 2^bits - 2 steps, symmetric with a step at 0 (mid-tread), as in IBM's aihwkit.
    Unsigned: the range is [0, r] in 2^bits - 1 steps. Halves are rounded to the even step.

    Attributes:
        bits: resolution.
        steps: resolution as a number of steps of the whole range instead; even for signed signals. Without either the
            signal is limited and gets noise, but is not rounded.
        range: r in units of the signal; see Range. What "dynamic" takes as one sample is a vector (MatMul, Gemm) or the
            tensor of one sample of the batch (Conv): a sample never depends on the rest of its batch.
        unit: of a number as range. "signal": the signal's own. "cell", of outputs only: what one cell adds at the
            largest weight and the full input range, so that one number serves all layers (`out_bound` of aihwkit).
        per_tile: each tile has a range of its own; calibrated ranges of outputs only.
        signed: whether the signal has both signs.
        noise: standard deviation of the analog signal's noise, relative to r: behind a DAC, in front of an ADC.
        percentile: of |signal| that `nmtool calibrate` takes as r; 100 is the largest.
    """

    bits: int | None = None
    steps: int | None = None
    range: Range = "calibrated"
    unit: Literal["signal", "cell"] = "signal"
    per_tile: bool = False
    signed: bool = True
    noise: float = 0.0
    percentile: float = 100.0
    name: ClassVar[str] = "converter"

    def __post_init__(self) -> None:
        require_non_negative(self.name, noise=self.noise)
        if self.bits is not None and self.steps is not None:
            raise UsageError("a converter has bits or steps, not both")
        if self.bits is not None and not (2 if self.signed else 1) <= self.bits <= 24:
            raise UsageError(f"bits of a converter must be {2 if self.signed else 1} to 24, not {self.bits}")
        if self.steps is not None and (not 1 <= self.steps <= MAX_LEVELS or (self.signed and self.steps % 2)):
            kind = "an even number" if self.signed else "a number"
            raise UsageError(f"steps of a converter must be {kind} from 1 to {MAX_LEVELS}, not {self.steps}")
        if isinstance(self.range, str):
            if self.range not in ("dynamic", "calibrated"):
                raise UsageError(
                    f'range of a converter must be a number, "dynamic" or "calibrated", not {self.range!r}'
                )
            if self.unit != "signal":
                raise UsageError(f"the unit of a {self.range} range is the signal's own: give no unit")
        elif not (np.isfinite(self.range) and self.range > 0):
            raise UsageError(f"range of a converter must be a finite number > 0, not {self.range}")
        if self.unit not in ("signal", "cell"):
            raise UsageError(f"unit of a range must be signal or cell, not {self.unit!r}")
        if self.per_tile and self.range != "calibrated":
            raise UsageError("ranges per tile come from calibration", hint='range = "calibrated"')
        if not 0 < self.percentile <= 100:
            raise UsageError(f"percentile of a converter must be above 0 and at most 100, not {self.percentile}")

    @property
    def levels(self) -> int | None:
        """Steps from 0 to r; None without rounding."""
        if self.bits is not None:
            return (1 << self.bits - self.signed) - 1
        if self.steps is not None:
            return self.steps // 2 if self.signed else self.steps
        return None


@dataclass(frozen=True)
class Receiver:
    """Noise of a photonic receiver: variance r^2 (thermal^2 + shot^2 |y| / r + rin^2 (y / r)^2) of a signal y.

    r is the range of the output converter, so each term is a standard deviation at full scale, relative to it. In terms
    of physics thermal^2 is 4 k T B / R, shot^2 is 2 q I B and rin^2 is RIN B, over the square of the photocurrent I at
    full scale.

    Attributes:
        thermal: of the amplifier, whatever the signal.
        shot: of the photons.
        rin: relative intensity noise of the laser.
    """

    thermal: float = 0.0
    shot: float = 0.0
    rin: float = 0.0
    name: ClassVar[str] = "receiver"

    def __post_init__(self) -> None:
        require_non_negative(self.name, thermal=self.thermal, shot=self.shot, rin=self.rin)


@dataclass(frozen=True)
class Periphery:
    """All that is between the digital world and the cells; what is not given is ideal.

    Inputs pass the input converter, are multiplied by the array, get the noise of reading, and pass the output
    converter: for each tile, for each pass of bit-serial inputs and for each slice of sliced weights by itself. These
    partial sums are added digitally, and so is the bias.

    Attributes:
        input: DAC.
        output: ADC of partial sums.
        tile: the size of arrays, and their wires.
        serial: bits of an input's integer that are applied at a time, with its sign (pulses of both polarities, as in
            Wan et al. 2022, "A compute-in-memory chip based on resistive random-access memory"); each pass drives the
            digit as a fraction of the full range. None: all at once.
        read_noise: of every weight at every matrix-vector product, relative to the largest |w| of the array (or of the
            channel, in a cell so scaled). It is drawn where it is seen, at the output, with the standard deviation
            read_noise max|w| ||x||: for Gaussian noise that is exact, and also independent between channels.
        receiver: noise of photonic receivers, in front of the output converter.
    """

    input: Converter | None = None
    output: Converter | None = None
    tile: Tile = field(default_factory=Tile)
    serial: int | None = None
    read_noise: float = 0.0
    receiver: Receiver | None = None
    name: ClassVar[str] = "periphery"

    def __post_init__(self) -> None:
        require_non_negative(self.name, read_noise=self.read_noise)
        if self.input is not None and (self.input.unit != "signal" or self.input.per_tile):
            raise UsageError("the range of an input converter is in units of its signal, and the same for all tiles")
        if self.output is not None and self.output.unit == "cell" and self.input is None:
            raise UsageError(
                "an output range in units of one cell needs an input range", hint="give an input converter"
            )
        if self.receiver is not None and self.output is None:
            raise UsageError("receiver noise is relative to the output range", hint="give an output converter")
        if self.serial is not None:
            if self.input is None or self.input.levels is None:
                raise UsageError("bit-serial inputs need an input converter with bits or steps")
            if self.serial < 1:
                raise UsageError(f"bits applied at a time must be at least 1, not {self.serial}")

    @property
    def acts_on_inputs(self) -> bool:
        """Whether inputs are not what the digital world gives."""
        return self.input is not None

    @property
    def acts_on_outputs(self) -> bool:
        """Whether something happens to partial sums: else tiles, passes and slices make no difference."""
        return self.output is not None or self.read_noise > 0

    @property
    def is_ideal(self) -> bool:
        """Whether the stock operator computes the same; wires are the cells' matter."""
        return not (self.acts_on_inputs or self.acts_on_outputs)

    @property
    def pass_powers(self) -> tuple[int, ...]:
        """What a digit of each pass of the inputs counts; empty where all bits are applied at once."""
        levels = self.input and self.input.levels
        return () if self.serial is None or not levels else digit_powers(levels, self.serial)

    @property
    def pass_factors(self) -> tuple[float, ...]:
        """What the product of each pass is multiplied by before they are added."""
        levels = self.input and self.input.levels
        return () if self.serial is None or not levels else digit_factors(levels, self.serial)

    @property
    def draws_per_run(self) -> bool:
        """Whether it has noise."""
        converters = (self.input, self.output)
        return (
            self.read_noise > 0 or self.receiver is not None or any(c is not None and c.noise > 0 for c in converters)
        )
