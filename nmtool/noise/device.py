"""What a device is: what becomes of the conductance it was told to hold.

A device model is a frozen dataclass, one per file in nmtool/noise/devices. It states its physics once, in terms of a
`Chip`: numpy computes it (nmtool/noise/numpy_chip.py), and it is written into models as ONNX operators that any backend
runs (nmtool/ops/chip.py). Conductances are relative: 1 is the largest that the device is programmed to.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

from nmtool.errors import UsageError

Term: TypeAlias = Any
"""Values of all cells of an array, float32; + - * / ** < > work on terms and numbers, element by element."""

Drawn: TypeAlias = Literal["chip", "run"]
"""When random numbers are drawn: once for the chip (`noise_trial`), or at every run of the model (`noise_run`)."""


class Chip(Protocol):
    """What a device model can compute with. Each call that draws takes the next draw of the array's stream."""

    @property
    def scale(self) -> Term:
        """`noise_scale` times the cell's eta: multiplies deviations; `gaussian` and `faults` see to it themselves."""
        ...

    @property
    def time(self) -> Term:
        """The run-time input `noise_time`: seconds since programming was completed, >= 0."""
        ...

    def gaussian(self, mean: Term, std: Term | float, drawn: Drawn = "chip") -> Term:
        """Normal numbers, independent for each element: mean + std * scale * z, of the shape of `mean`."""
        ...

    def normal(self, like: Term, drawn: Drawn = "chip") -> Term:
        """Standard normals of the shape of `like`; the scale does not apply."""
        ...

    def faults(self, x: Term, probabilities: tuple[float, ...], values: tuple[float, ...]) -> Term:
        """Each element becomes values[k] with probability scale * probabilities[k], else stays: once per chip."""
        ...

    def abs(self, x: Term) -> Term:
        """Absolute value."""
        ...

    def exp(self, x: Term) -> Term:
        """Exponential."""
        ...

    def log(self, x: Term) -> Term:
        """Natural logarithm."""
        ...

    def sqrt(self, x: Term) -> Term:
        """Square root."""
        ...

    def cos(self, x: Term) -> Term:
        """Cosine of an angle in radians."""
        ...

    def round(self, x: Term) -> Term:
        """To the nearest integer, halves to the even one; training passes the gradient on unchanged."""
        ...

    def maximum(self, x: Term, y: Term | float) -> Term:
        """The larger one."""
        ...

    def minimum(self, x: Term, y: Term | float) -> Term:
        """The smaller one."""
        ...

    def where(self, condition: Term, x: Term | float, y: Term | float) -> Term:
        """X where the condition (a comparison of terms) holds, else y."""
        ...


class Device:
    """A device that holds a conductance. A model overrides what its device does; the others leave it as it is.

    The conductance passes through `program` once, then through `drift` and `read`: random numbers of the first two
    belong to the chip, those of the last to the run (so `read` passes drawn="run").

    Attributes:
        signed: one device holds a weight with its sign, so that cells need no pairs of it.
    """

    name: ClassVar[str]
    signed: ClassVar[bool] = False

    def program(self, target: Term, chip: Chip) -> Term:
        """The conductance after programming.

        Args:
            target: wanted conductance, relative to the largest: in [0, 1], or in [-1, 1] in a cell without pairs.
            chip: what to compute with.
        """
        return target

    def drift(self, conductance: Term, target: Term, chip: Chip) -> Term:
        """The conductance `chip.time` seconds after programming, from the one after programming.

        Args:
            conductance: after programming.
            target: what `program` was given: fits of measurements often depend on that.
            chip: what to compute with.
        """
        return conductance

    def read(self, conductance: Term, target: Term, chip: Chip) -> Term:
        """The conductance as one run of the model sees it, from the one after drift; see `drift`."""
        return conductance


def polynomial(x: Term, coefficients: Sequence[float]) -> Term:
    """c0 + c1 x + c2 x^2 + ..., by Horner's rule."""
    *lower, value = coefficients
    for coefficient in reversed(lower):
        value = coefficient + value * x
    return value


def clip(x: Term, low: float, high: float, chip: Chip) -> Term:
    """Within low to high."""
    return chip.minimum(chip.maximum(x, low), high)


def require_within(device: str, low: float, high: float, /, **values: float) -> None:
    """Raise UsageError unless every named parameter of the device is a finite number from low to high."""
    for name, value in values.items():
        if not isinstance(value, int | float) or not (math.isfinite(value) and low <= value <= high):
            interval = f">= {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
            raise UsageError(f"{name} of device `{device}` must be a finite number {interval}, not {value!r}")
