"""Operators on analog arrays with their periphery, as ONNX functions.

The array operand comes noisy (its cells are a function in front of it). The function converts inputs, multiplies with
the stock operator, adds noise to partial sums, converts them, and adds them and the bias digitally, all in float32:

    stock inputs, [clean], [input_range], [output_range], [noise_run], [noise_scale], [bias] -> stock output

Of the inputs in brackets a function has those that its periphery needs; their names tell a caller what to give.
Passes of bit-serial inputs multiply the batch, slices of weights multiply output channels, tiles multiply groups.
"""

from dataclasses import dataclass, replace
from typing import Any

import onnx_ir as ir

from nmtool.hardware.periphery import Converter, Periphery
from nmtool.noise.slicing import Slicing
from nmtool.noise.tiling import Tiling, tiling
from nmtool.ops import DOMAIN, RUN, SCALE
from nmtool.ops.analog import ANALOG_OPS
from nmtool.ops.composites import NOISE_ATTRIBUTES
from nmtool.ops.crossbar_products import MATRIX_AXES, PRODUCTS, Product, convolution_axes
from nmtool.ops.expression import Body, Expression, Number

CLEAN, INPUT_RANGE, OUTPUT_RANGE = "clean", "input_range", "output_range"
"""Inputs: the array before its noise; the calibrated ranges, float32: scalars, or output ranges per tile
[groups, tiles, slices, outputs or 1] (see `nmtool.hardware.calibration`)."""

FUNCTIONS_OF_CONVERTERS = ("Quantize", "Digits")
"""What a crossbar function may call; see nmtool/ops/converters.py."""

_TINY = 1e-30  # in the place of the range of a signal of zeros


@dataclass(frozen=True)
class Crossbar:
    """What a crossbar function depends on: nodes with equal ones share a function.

    Attributes:
        op_type: the stock operator.
        operand: which of its inputs is the array.
        attributes: names and types of the attributes that its nodes give.
        tiling: of the array; without tiles, passes and slices only what does not depend on the array's size.
        rank: of the array.
        columns: the vectors that are multiplied are the columns of the activation, not its rows.
        periphery: what is around it.
        slicing: of the weights, if the array comes in slices [S, ...].
        per_channel: cells are scaled by output channel: see Cell.
        bias: whether the nodes give one.
    """

    op_type: str
    operand: int
    attributes: tuple[tuple[str, ir.AttributeType], ...]
    tiling: Tiling
    rank: int
    columns: bool
    periphery: Periphery
    slicing: Slicing | None
    per_channel: bool
    bias: bool

    @property
    def name(self) -> str:
        """For instance CrossbarConv, or CrossbarMatMulLeft where the array is the left operand."""
        return f"Crossbar{self.op_type}{'Left' if self.operand == 0 else ''}"

    @property
    def axes(self) -> str:
        """Letters of the axes of partial sums, where there are parts; see nmtool/ops/crossbar_products.py."""
        return MATRIX_AXES if self.op_type in ("MatMul", "Gemm") else convolution_axes(self.rank)

    def without_noise(self) -> "Crossbar":
        """The same, but for the noise."""
        periphery = self.periphery
        inputs, outputs = (each and replace(each, noise=0.0) for each in (periphery.input, periphery.output))
        silent = replace(periphery, input=inputs, output=outputs, read_noise=0.0, receiver=None)
        return replace(self, periphery=silent)

    @property
    def has_parts(self) -> bool:
        """Whether there are partial sums to add."""
        output = self.periphery.output
        per_tile = output is not None and output.per_tile
        return per_tile or self.tiling.tiles > 1 or bool(self.periphery.pass_powers) or self.slicing is not None


def crossbar_of(
    node: ir.Node,
    operand: int,
    shape: tuple[int, ...],
    periphery: Periphery,
    *,
    slicing: Slicing | None = None,
    per_channel: bool = False,
) -> Crossbar:
    """The crossbar of a MatMul, Gemm, Conv or ConvTranspose of ai.onnx.

    Args:
        node: the node.
        operand: which of its inputs is the array.
        shape: of the (clean) array.
        periphery: what is around it.
        slicing: how the cells slice the weights. It is left out where nothing acts on partial sums: the cells
            recombine the slices then.
        per_channel: whether cells are scaled by output channel.

    Raises:
        TilingError: tiles cannot hold the array; the message is the reason.
    """
    op = ANALOG_OPS["", node.op_type]
    values = {name: each.value for name, each in node.attributes.items()}
    spread = tiling(node.op_type, operand, shape, values, periphery.tile)
    if not periphery.acts_on_outputs:
        slicing, periphery = None, replace(periphery, serial=None)
        spread = replace(spread, tiles=1, depth=spread.inputs)
    crossbar = Crossbar(
        node.op_type,
        operand,
        tuple(sorted((name, each.type) for name, each in node.attributes.items())),
        spread,
        len(shape),
        _multiplies_columns(node, operand),
        periphery,
        slicing,
        per_channel,
        any(value is not None for value in node.inputs[op.required :]),
    )
    if crossbar.has_parts:
        return crossbar
    return replace(crossbar, tiling=replace(spread, inputs=1, outputs=1, positions=1, depth=1, columns=1))


def _multiplies_columns(node: ir.Node, operand: int) -> bool:
    if operand == 0:
        activation = node.inputs[1]
        is_vector = activation is not None and activation.shape is not None and len(activation.shape) == 1
        return not is_vector and not node.attributes.get_int("transB", 0)
    return bool(node.attributes.get_int("transA", 0))


def crossbar_function(name: str, crossbar: Crossbar, opset: int) -> ir.Function:
    """The function `name` of a crossbar. It may call FUNCTIONS_OF_CONVERTERS and GaussianNoise.

    Its attributes are those of the stock operator, and those of noise: seed, the stream of its own draws (not that of
    the array, which other nodes may use), and the type of the output.

    Args:
        name: of the function.
        crossbar: what it computes.
        opset: of ai.onnx of the model, at least DEVICE_OPSET.
    """
    return _Writer(crossbar, opset).function(name)


def probe_function(name: str, crossbar: Crossbar, opset: int) -> ir.Function:
    """The function `name` that gives, instead of the result, the partial sums that reach the output converter.

    Its inputs are the stock operator's required ones, and the input range if that is calibrated; there is no noise.
    Where the crossbar has parts, the axes are `crossbar.axes`.

    Args:
        name: of the function.
        crossbar: what is looked into.
        opset: as above.
    """
    return _Writer(crossbar.without_noise(), opset, probe=True).function(name)


class _Writer:
    """Writes one function."""

    def __init__(self, crossbar: Crossbar, opset: int, probe: bool = False) -> None:
        self.crossbar, self.periphery = crossbar, crossbar.periphery
        op = ANALOG_OPS["", crossbar.op_type]
        self.body = body = Body(opset)
        self.stock = [body.input(each) for each in op.inputs[: op.required]]
        self.probe = probe
        self.given = {each: body.input(each) for each in self._needs() if not probe or each == INPUT_RANGE}
        self.bias = body.input(op.inputs[-1]) if crossbar.bias and not probe else None
        self.draws = 0

    def _needs(self) -> list[str]:
        """The inputs between the required and the optional ones."""
        periphery, converters = self.periphery, (self.periphery.input, self.periphery.output)
        clean = periphery.read_noise > 0 or (periphery.output is not None and periphery.output.unit == "cell")
        calibrated = [converter is not None and converter.range == "calibrated" for converter in converters]
        noise = periphery.draws_per_run
        needs = dict(
            zip((CLEAN, INPUT_RANGE, OUTPUT_RANGE, RUN, SCALE), (clean, *calibrated, noise, noise), strict=True)
        )
        return [name for name, needed in needs.items() if needed]

    def function(self, name: str) -> ir.Function:
        product = PRODUCTS[self.crossbar.op_type](self.body, self.crossbar)
        array, activation = (self._float(self.stock[k]) for k in (self.crossbar.operand, 1 - self.crossbar.operand))
        signal, full = self._inputs(product.vectors(activation), product)
        parts = product.multiply(signal, array)
        declared = [ir.Attr(each, kind, None) for each, kind in self.crossbar.attributes]
        if self.probe:
            return self.body.function(name, [parts], declared)
        if self.periphery.acts_on_outputs:
            parts = self._outputs(parts, signal, array, full, product)
        y = product.digital(self._sum(parts, product))
        if self.bias is not None:
            y = y + product.bias(self._float(self.bias))
        y = self.body.op("Cast", y, to=ir.RefAttr("to", "dtype", ir.AttributeType.INT))
        declared += [ir.Attr(each, ir.AttributeType.INT, None) for each in NOISE_ATTRIBUTES]
        return self.body.function(name, [y], declared)

    def _inputs(self, x: Expression, product: Product) -> tuple[Expression, Number]:
        """What the array is driven with, and the full range of it, one number for each sample."""
        converter = self.periphery.input
        if converter is None:
            return x, 1.0
        full = self._range(converter, x, INPUT_RANGE, product.within_sample)
        if self.periphery.pass_powers:
            powers = self.body.floats(*self.periphery.pass_powers)
            x = self._converted("Digits", converter, x, full, powers, float(2 ** (self.periphery.serial or 0)))
        else:
            x = self._converted("Quantize", converter, x, full)
        if converter.noise:
            x = self._gaussian(x, full * converter.noise)
        return (product.merged(x) if self.periphery.pass_powers else x), full

    def _outputs(
        self, parts: Expression, signal: Expression, array: Expression, full: Number, product: Product
    ) -> Expression:
        """Partial sums as the digital world gets them."""
        converter, receiver, read_noise = self.periphery.output, self.periphery.receiver, self.periphery.read_noise
        largest = product.per_channel(self._float(self.given[CLEAN])) if CLEAN in self.given else None
        variance: Number = 0.0
        if read_noise:
            assert largest is not None
            std = largest * read_noise
            variance = std * std * product.squares(signal, array)
        limit: Number = 1.0
        if converter is not None:
            if converter.unit == "cell":
                assert largest is not None
                assert isinstance(converter.range, float | int)
                limit = product.per_sample(full) * (largest * float(converter.range))
            else:
                limit = self._range(converter, parts, OUTPUT_RANGE, product.within_parts)
                limit = product.per_tile(limit) if converter.per_tile else limit
            relative: Number = converter.noise**2
            if receiver is not None:
                magnitude = self.body.op("Abs", parts) / limit
                relative = magnitude * (magnitude * receiver.rin**2 + receiver.shot**2) + (
                    receiver.thermal**2 + relative
                )
            if receiver is not None or converter.noise:
                variance = limit * limit * relative + variance
        if isinstance(variance, Expression):
            parts = self._gaussian(parts, self.body.op("Sqrt", self.body.op("Max", variance, 0.0)))
        return parts if converter is None else self._converted("Quantize", converter, parts, limit)

    def _sum(self, parts: Expression, product: Product) -> Expression:
        """Partial sums added up."""
        if not self.crossbar.has_parts:
            return parts
        slicing, passes = self.crossbar.slicing, self.periphery.pass_factors
        factors = [product.per_pass(self.body.floats(*passes))] if passes else []
        factors += [product.per_slice(self.body.floats(*slicing.factors))] if slicing else []
        if factors:
            parts = parts * (factors[0] if len(factors) == 1 else factors[0] * factors[1])
        return self.body.reduce("ReduceSum", parts, product.partial_axes, keepdims=False)

    def _range(self, converter: Converter, x: Expression, name: str, within_sample: tuple[int, ...]) -> Number:
        """The range that the signal x is limited to, broadcastable to it."""
        if converter.range == "calibrated":
            return self.given[name]
        if converter.range == "dynamic":
            return self.body.op("Max", self.body.reduce("ReduceMax", self.body.op("Abs", x), within_sample), _TINY)
        assert not isinstance(converter.range, str)
        return float(converter.range)

    def _converted(
        self, function: str, converter: Converter, x: Expression, limit: Number, *more: Number
    ) -> Expression:
        lowest = -1.0 if converter.signed else 0.0
        if converter.levels is None:
            return self.body.op("Min", self.body.op("Max", x, limit * lowest), limit)
        return self.body.op(function, x, limit, lowest, float(converter.levels), *more, domain=DOMAIN)

    def _gaussian(self, x: Expression, std: Number) -> Expression:
        references = {each: ir.RefAttr(each, each, ir.AttributeType.INT) for each in ("seed", "stream")}
        attributes: dict[str, Any] = references | {"draw": self.draws, "dtype": int(ir.DataType.FLOAT)}
        self.draws += 1
        return self.body.op("GaussianNoise", x, std, self.given[RUN], self.given[SCALE], domain=DOMAIN, **attributes)

    def _float(self, x: Expression) -> Expression:
        return self.body.op("Cast", x, to=int(ir.DataType.FLOAT))
