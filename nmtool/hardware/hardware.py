"""Which layers of a model go to which arrays."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, ClassVar, TypeAlias

from nmtool.hardware.periphery import Periphery
from nmtool.noise.base import NoiseModel
from nmtool.noise.cell import Cell

Ranges: TypeAlias = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Layer:
    """The array of one layer.

    Attributes:
        weights: noise on the weights, or the cells that hold them; None: they are held exactly.
        periphery: converters, tiles and noise of the products; None: ideal.
    """

    weights: NoiseModel | Cell | None = None
    periphery: Periphery | None = None


@dataclass(frozen=True)
class Digital:
    """Nodes that the hardware computes digitally.

    Attributes:
        first: how many of the first analog nodes of the model, in graph order.
        last: how many of the last.
        nodes: globs of node names.
        ops: operator types.
    """

    first: int = 0
    last: int = 0
    nodes: Sequence[str] = ()
    ops: Sequence[str] = ()

    def reason(self, node: str, op_type: str, position: int, count: int) -> str:
        """Why a node is digital, or "".

        Args:
            node: its name.
            op_type: its operator type.
            position: its place among the analog nodes, from 0.
            count: how many analog nodes there are.
        """
        if position < self.first:
            return f"one of the first {self.first}, which the hardware computes digitally"
        if position >= count - self.last:
            return f"one of the last {self.last}, which the hardware computes digitally"
        if op_type in self.ops or any(fnmatchcase(node, pattern) for pattern in self.nodes):
            return "the hardware computes it digitally"
        return ""


@dataclass(frozen=True)
class Hardware:
    """The arrays of a model.

    Attributes:
        layer: of all layers but those of `overrides`.
        overrides: globs of node names, and the array of the nodes that match; the first that matches counts.
        digital: what is not on arrays.
        time: seconds since programming, the default of the input `noise_time`.
        ranges: of calibrated converters, by node and then input of its crossbar function, in units of the signal:
            numbers, or for each tile [groups, tiles, slices, outputs or 1].
        table: the profile it is made of, as TOML has it; empty where it is not from a profile.
        eta: always 1: the hardware as it is. `noise_scale` multiplies all its deviations.
    """

    name: ClassVar[str] = "hardware"
    eta: ClassVar[float] = 1.0
    layer: Layer
    overrides: tuple[tuple[str, Layer], ...] = ()
    digital: Digital = Digital()
    time: float = 0.0
    ranges: Ranges = field(default_factory=dict, hash=False)
    table: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def layers(self) -> Iterator[Layer]:
        """All arrays there are."""
        yield self.layer
        yield from (layer for _, layer in self.overrides)

    def unmatched(self, nodes: Sequence[str], op_types: Sequence[str]) -> list[str]:
        """The patterns and operators that are none of the model's: almost always a typing error."""
        patterns = [*self.digital.nodes, *(pattern for pattern, _ in self.overrides)]
        return [pattern for pattern in patterns if not any(fnmatchcase(node, pattern) for node in nodes)] + [
            op_type for op_type in self.digital.ops if op_type not in op_types
        ]

    def of(self, node: str) -> Layer:
        """The array of the node of that name."""
        return next((layer for pattern, layer in self.overrides if fnmatchcase(node, pattern)), self.layer)


AnalogNoise: TypeAlias = NoiseModel | Cell | Hardware
"""What makes a model noisy: noise on its weights, cells that hold them, or hardware layer by layer."""
