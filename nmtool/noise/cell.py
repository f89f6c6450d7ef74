"""A cell: the devices that hold one weight, and how the weight is mapped to them."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from nmtool.errors import UsageError
from nmtool.noise.base import require_non_negative
from nmtool.noise.device import Chip, Device, Term
from nmtool.noise.slicing import Slicing

_TINY = 1e-30  # in the place of the scale of an array of zeros


class ArrayChip(Chip, Protocol):
    """A chip that also knows the arrangement of the cells; axes None are all of them."""

    def largest(self, x: Term, axes: tuple[int, ...] | None) -> Term:
        """Maximum over the axes, which stay as 1."""
        ...

    def mean(self, x: Term, axes: tuple[int, ...] | None) -> Term:
        """Mean over the axes, which stay as 1."""
        ...

    def pair(self, x: Term) -> Term:
        """The two sides of differential pairs along a new first axis: max(x, 0) and max(-x, 0)."""
        ...

    def part(self, x: Term, k: int) -> Term:
        """Entry k of the first axis."""
        ...

    def digits(self, x: Term, slicing: Slicing) -> Term:
        """The slices of numbers in [-1, 1] along a new first axis."""
        ...

    def loaded(self, conductance: Term) -> Term:
        """What cells act as behind the wires of their tiles; the axes of the weights are the last ones."""
        ...


@dataclass(frozen=True)
class Cell:
    """Devices that hold the weights of an array.

    A weight w becomes w / s, s being the largest |w| of its array or of its output channel, so that devices use their
    whole range. In a differential pair one device holds max(w / s, 0) and another max(-w / s, 0). The conductance then
    passes through all devices in order: programming of each, drift of each, read noise of each, and last the wires of
    its tile. What is read is multiplied by s again.

    Drift compensation multiplies by mean |w at programming| / mean |w now|, of the array or of each output channel: the
    ratio of two read-outs (Joshi et al. 2020, "Accurate deep neural network inference using computational phase-change
    memory"; Le Gallo et al. 2018). The read-outs have noise themselves: the ratio is multiplied by 1 + readout_noise z.

    Attributes:
        devices: what the conductance passes through, in order; none: it is held exactly.
        pairs: two devices per weight; False: one device, which holds the sign too; None: what the devices need.
        scale: s is the largest |w| of the "array" or of each output "channel".
        slicing: how a weight is cut into slices that are cells of their own; None: one cell holds it.
        compensation: of the drift: "none", "array" (one factor) or "channel".
        readout_noise: relative standard deviation of the compensation's factor, drawn once per chip.
        eta: multiplies every standard deviation and fault probability; 1 is the device as it is.
    """

    name: ClassVar[str] = "cell"
    devices: tuple[Device, ...]
    pairs: bool | None = None
    scale: Literal["array", "channel"] = "array"
    slicing: Slicing | None = None
    compensation: Literal["none", "array", "channel"] = "none"
    readout_noise: float = 0.0
    eta: float = 1.0

    def __post_init__(self) -> None:
        require_non_negative(self.name, eta=self.eta, readout_noise=self.readout_noise)
        if self.pairs is None:
            signed = bool(self.devices) and all(device.signed for device in self.devices)
            object.__setattr__(self, "pairs", not signed)
        if not self.pairs and (unfit := [device.name for device in self.devices if not device.signed]):
            raise UsageError(
                f"device `{unfit[0]}` holds conductances, which are >= 0, but the cell has no pairs for the sign",
                hint="use differential pairs",
            )
        for field, choices in (("scale", ("array", "channel")), ("compensation", ("none", "array", "channel"))):
            if getattr(self, field) not in choices:
                raise UsageError(f"{field} of a cell must be {', '.join(choices)}, not {getattr(self, field)!r}")

    def perturb(
        self, weights: Term, chip: ArrayChip, within_channel: tuple[int, ...] | None = None, slices: bool = False
    ) -> Term:
        """The weights as a run of the model sees them.

        Args:
            weights: float32, of any shape.
            chip: what to compute with; its scale includes eta.
            within_channel: the axes of the weights that are not those of output channels; None: all axes, for arrays
                that have no such axis.
            slices: return the slices along a new first axis, to be multiplied by Slicing.factors and added later.
        """
        size = chip.maximum(chip.largest(chip.abs(weights), within_channel if self.scale == "channel" else None), _TINY)
        conductance = weights / size
        if self.slicing is not None:
            conductance = chip.digits(conductance, self.slicing)
        if self.pairs:
            conductance = chip.pair(conductance)
        targets = []
        for device in self.devices:
            targets.append(conductance)
            conductance = device.program(conductance, chip)
        programmed = self._weights(conductance, chip)
        for device, target in zip(self.devices, targets, strict=True):
            conductance = device.drift(conductance, target, chip)
        drifted = self._weights(conductance, chip)
        for device, target in zip(self.devices, targets, strict=True):
            conductance = device.read(conductance, target, chip)
        read = self._weights(chip.loaded(conductance), chip)
        if self.compensation != "none":
            axes = within_channel if self.compensation == "channel" else None
            if axes is not None and self.slicing is not None:
                axes = tuple(axis + 1 for axis in axes)
            before, now = (chip.mean(chip.abs(w), axes) for w in (programmed, drifted))
            factor = chip.maximum(before, _TINY) / chip.maximum(now, _TINY)
            read = read * (factor * chip.gaussian(factor / factor, self.readout_noise))
        if self.slicing is not None and not slices:
            first, *others = (chip.part(read, k) * factor for k, factor in enumerate(self.slicing.factors))
            read = sum(others, start=first)
        return read * size

    def _weights(self, conductance: Term, chip: ArrayChip) -> Term:
        """What pairs stand for: first side minus second."""
        return chip.part(conductance, 0) - chip.part(conductance, 1) if self.pairs else conductance
