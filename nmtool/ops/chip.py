"""Device models as ONNX functions: the physics of nmtool.noise, written into the model instead of computed."""

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from nmtool.noise.base import Channels
from nmtool.noise.cell import Cell
from nmtool.noise.device import Drawn
from nmtool.noise.slicing import Slicing
from nmtool.noise.wires import Wires
from nmtool.ops import DOMAIN, RUN, SCALE, TIME, TRIAL
from nmtool.ops.composites import NOISE_ATTRIBUTES
from nmtool.ops.expression import Body, Expression, Number

DEVICE_OPSET = 13
"""The first opset whose operators suffice for devices."""

KINDS_OF_FAULT = 3
"""Faults of a cell are padded to so many kinds: the body of StuckFaults is made for one number of them."""

_TRIALS: dict[Drawn, str] = {"chip": TRIAL, "run": RUN}


class OnnxChip:
    """Writes what devices compute into the body of a function; see `nmtool.noise.cell.ArrayChip`."""

    def __init__(self, body: Body, eta: float = 1.0, wires: Wires | None = None) -> None:
        """Write into `body`; `eta` multiplies the scale, `wires` are those of the tiles that hold the array."""
        self.body = body
        self._eta, self._draw, self._wires = eta, 0, wires
        self._inputs: dict[str, Expression] = {}

    @property
    def scale(self) -> Expression:
        """See Chip.scale."""
        scale = self._input(SCALE)
        return scale if self._eta == 1.0 else scale * self._eta

    @property
    def time(self) -> Expression:
        """See Chip.time."""
        return self._input(TIME)

    def gaussian(self, mean: Expression, std: Number, drawn: Drawn = "chip") -> Expression:
        """See Chip.gaussian."""
        return self._primitive("GaussianNoise", mean, std, drawn=drawn, scale=self.scale)

    def normal(self, like: Expression, drawn: Drawn = "chip") -> Expression:
        """See Chip.normal."""
        zero = self.body.op("Sub", like, like)
        return self._primitive("GaussianNoise", zero, 1.0, drawn=drawn, scale=1.0)

    def faults(self, x: Expression, probabilities: Sequence[float], values: Sequence[float]) -> Expression:
        """See Chip.faults."""
        padding = [0.0] * (KINDS_OF_FAULT - len(probabilities))
        parameters = (self.body.floats(*probabilities, *padding), self.body.floats(*values, *padding))
        return self._primitive("StuckFaults", x, *parameters, drawn="chip", scale=self.scale)

    def abs(self, x: Expression) -> Expression:
        """See Chip.abs."""
        return self.body.op("Abs", x)

    def exp(self, x: Expression) -> Expression:
        """See Chip.exp."""
        return self.body.op("Exp", x)

    def log(self, x: Expression) -> Expression:
        """See Chip.log."""
        return self.body.op("Log", x)

    def sqrt(self, x: Expression) -> Expression:
        """See Chip.sqrt."""
        return self.body.op("Sqrt", x)

    def cos(self, x: Expression) -> Expression:
        """See Chip.cos."""
        return self.body.op("Cos", x)

    def round(self, x: Expression) -> Expression:
        """See Chip.round."""
        return self.body.op("Round", x, domain=DOMAIN)

    def maximum(self, x: Expression, y: Number) -> Expression:
        """See Chip.maximum."""
        return self.body.op("Max", x, y)

    def minimum(self, x: Expression, y: Number) -> Expression:
        """See Chip.minimum."""
        return self.body.op("Min", x, y)

    def where(self, condition: Expression, x: Number, y: Number) -> Expression:
        """See Chip.where."""
        return self.body.op("Where", condition, x, y)

    def largest(self, x: Expression, axes: tuple[int, ...] | None) -> Expression:
        """See ArrayChip.largest."""
        return self.body.reduce("ReduceMax", x, axes)

    def mean(self, x: Expression, axes: tuple[int, ...] | None) -> Expression:
        """See ArrayChip.mean."""
        return self.body.reduce("ReduceMean", x, axes)

    def pair(self, x: Expression) -> Expression:
        """See ArrayChip.pair."""
        first = self.body.ints(0)
        sides = (self.body.op("Unsqueeze", side, first) for side in (x, -x))
        return self.body.op("Max", self.body.op("Concat", *sides, axis=0), 0.0)

    def part(self, x: Expression, k: int) -> Expression:
        """See ArrayChip.part."""
        return self.body.op("Gather", x, self.body.integer(k), axis=0)

    def digits(self, x: Expression, slicing: Slicing) -> Expression:
        """See ArrayChip.digits."""
        powers, base = self.body.floats(*slicing.powers), float(2**slicing.per_slice)
        return self.body.op("Digits", x, 1.0, -1.0, float(slicing.levels), powers, base, domain=DOMAIN)

    def loaded(self, conductance: Expression) -> Expression:
        """See ArrayChip.loaded."""
        if self._wires is None:
            return conductance
        return self.body.op("Reshape", self._wires.loaded(conductance, self), self.body.op("Shape", conductance))

    def reshape(self, x: Expression, shape: tuple[int, ...]) -> Expression:
        """See Layout.reshape."""
        return self.body.op("Reshape", x, self.body.ints(*shape))

    def transpose(self, x: Expression, axes: tuple[int, ...]) -> Expression:
        """See Layout.transpose."""
        return self.body.op("Transpose", x, perm=axes)

    def resized(self, x: Expression, axis: int, before: int, after: int, rank: int) -> Expression:
        """See Layout.resized."""
        if after == before:
            return x
        if after < before:
            ends = (self.body.ints(each) for each in (0, after, axis))
            return self.body.op("Slice", x, *ends)
        pads = (after - before if k == rank + axis else 0 for k in range(2 * rank))
        return self.body.op("Pad", x, self.body.ints(*pads))

    def accumulate(self, x: Expression, axis: int, reverse: bool) -> Expression:
        """See Layout.accumulate."""
        return self.body.op("CumSum", x, self.body.integer(axis), reverse=int(reverse))

    def _primitive(self, name: str, x: Expression, *parameters: Number, drawn: Drawn, scale: Number) -> Expression:
        references = {each: ir.RefAttr(each, each, ir.AttributeType.INT) for each in ("seed", "stream")}
        attributes: dict[str, Any] = references | {"draw": self._draw, "dtype": int(ir.DataType.FLOAT)}
        self._draw += 1
        return self.body.op(name, x, *parameters, self._input(_TRIALS[drawn]), scale, domain=DOMAIN, **attributes)

    def _input(self, name: str) -> Expression:
        if name not in self._inputs:
            self._inputs[name] = self.body.input(name)
        return self._inputs[name]


def cell_function(
    name: str,
    cell: Cell,
    opset: int,
    rank: int,
    channels: Channels,
    *,
    wires: Wires | None = None,
    slices: bool = False,
) -> ir.Function:
    """The function `name`: weights of any floating-point type, as a run of the model sees them.

    Its inputs are the weights and the run-time inputs that the devices use; its attributes are seed, stream and dtype.

    Args:
        name: of the function.
        cell: what holds the weights.
        opset: of ai.onnx of the model, at least DEVICE_OPSET.
        rank: of the weights.
        channels: where their output channels are.
        wires: of the tiles that hold the array; None: ideal ones.
        slices: give the slices of sliced weights along a new first axis, as a crossbar function takes them.
    """
    body = Body(opset)
    chip = OnnxChip(body, cell.eta, wires)
    given = body.input("weights")
    weights = body.op("Cast", given, to=int(ir.DataType.FLOAT))
    shape = body.op("Shape", weights)
    if channels.groups > 1:
        rest = body.op("Slice", shape, body.ints(1), body.ints(rank))
        weights = body.op("Reshape", weights, body.op("Concat", body.ints(channels.groups, -1), rest, axis=0))
    read = cell.perturb(weights, chip, channels.within(rank), slices)
    if channels.groups > 1:
        read = body.op("Reshape", read, body.op("Concat", body.ints(-1), shape, axis=0) if slices else shape)
    read = body.op("Cast", read, to=ir.RefAttr("to", "dtype", ir.AttributeType.INT))
    declared = [ir.Attr(each, ir.AttributeType.INT, None) for each in NOISE_ATTRIBUTES]
    return body.function(name, [read], declared)
