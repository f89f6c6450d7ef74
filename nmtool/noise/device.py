"""What a device is: what becomes of the conductance it was told to hold.

A device model is a frozen dataclass, one per file in nmtool/noise/devices. It states its physics once, in terms of a
`Chip`: numpy computes it (nmtool/noise/numpy_chip.py), and it is written into models as ONNX operators that any backend
runs (nmtool/ops/chip.py). Conductances are relative: 1 is the largest that the device is programmed to.
"""

from typing import Any, ClassVar, Literal, Protocol, TypeAlias

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

    def drift(self, programmed: Term, chip: Chip) -> Term:
        """The conductance `chip.time` seconds after programming."""
        return programmed

    def read(self, conductance: Term, chip: Chip) -> Term:
        """The conductance as one run of the model sees it."""
        return conductance
