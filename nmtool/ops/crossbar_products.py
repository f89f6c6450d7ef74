"""The products of a crossbar: stock operators on tiles, passes and slices, and where these are in the result."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from nmtool.ops.expression import Body, Expression, Number

if TYPE_CHECKING:
    from nmtool.ops.crossbar import Crossbar


MATRIX_AXES = "gtibsn"
"""Axes of partial sums of matrices: g group, t tile, i pass, b batch, s slice, n output channel, p position."""


def convolution_axes(rank: int) -> str:
    """Axes of partial sums of convolutions whose array has so many axes."""
    return "ibgtsn" + "p" * (rank - 2)


class Product(ABC):
    """One operator's product. What `multiply` returns has, where the crossbar has parts, an axis for each of `axes`.

    Attributes:
        axes: letters of the axes of partial sums.
        within_sample: axes of what `vectors` returns that belong to one sample.
        within_parts: axes of partial sums that belong to one sample.
    """

    def __init__(self, body: Body, crossbar: "Crossbar", axes: str, within_sample: tuple[int, ...]) -> None:
        """Write into `body`."""
        self.body, self.crossbar, self.axes, self.within_sample = body, crossbar, axes, within_sample
        within = (axis for axis, letter in enumerate(axes) if letter != "b")
        self.within_parts = tuple(within) if crossbar.has_parts else within_sample
        self.tiling = crossbar.tiling
        self.passes = len(crossbar.periphery.pass_powers) or 1
        self.slices = len(crossbar.slicing.powers) if crossbar.slicing else 1

    @abstractmethod
    def vectors(self, activation: Expression) -> Expression:
        """The activation with its samples first."""

    @abstractmethod
    def merged(self, digits: Expression) -> Expression:
        """Passes [I, ...vectors] as more samples."""

    @abstractmethod
    def multiply(self, x: Expression, array: Expression) -> Expression:
        """The product of vectors and array: partial sums."""

    @abstractmethod
    def squares(self, x: Expression, array: Expression) -> Expression:
        """The sum of x^2 over the rows of the tile, for each partial sum; broadcasts over channels."""

    @abstractmethod
    def per_channel(self, array: Expression) -> Expression:
        """The largest |w| of the array, or of each output channel, placed to broadcast to partial sums."""

    @abstractmethod
    def digital(self, y: Expression) -> Expression:
        """The result from the added partial sums, in the layout of the stock operator."""

    @abstractmethod
    def bias(self, bias: Expression) -> Expression:
        """The bias, placed to broadcast to the result."""

    @property
    def partial_axes(self) -> tuple[int, ...]:
        """The axes of partial sums that are added."""
        return tuple(axis for axis, letter in enumerate(self.axes) if letter in "tis")

    def per_sample(self, x: Number) -> Number:
        """A number for each sample, placed."""
        if not isinstance(x, Expression) or not self.crossbar.has_parts or self.crossbar.periphery.input is None:
            return x
        if self.crossbar.periphery.input.range != "dynamic":
            return x
        return self._placed(self.body.op("Reshape", x, self.body.ints(-1)), "b")

    def per_tile(self, x: Number) -> Expression:
        """Ranges [groups, tiles, slices, outputs or 1], placed."""
        assert isinstance(x, Expression)
        return self._placed(x, "gtsn")

    def per_pass(self, x: Expression) -> Expression:
        """[I], placed."""
        return self._placed(x, "i")

    def per_slice(self, x: Expression) -> Expression:
        """[S], placed."""
        return self._placed(x, "s")

    def _placed(self, x: Expression, letters: str) -> Expression:
        absent = [axis for axis, letter in enumerate(self.axes) if letter not in letters]
        return self.body.op("Unsqueeze", x, self.body.ints(*absent))

    def _shape(self, *parts: "int | Expression") -> Expression:
        """A shape, of integers and vectors."""
        return self.body.op("Concat", *(self.body.ints(x) if isinstance(x, int) else x for x in parts), axis=0)

    def _reshaped(self, x: Expression, *parts: "int | Expression") -> Expression:
        return self.body.op("Reshape", x, self._shape(*parts))

    def _dimensions(self, x: Expression, first: int, last: int = 2**31 - 1) -> Expression:
        """The shape of x from axis `first` on."""
        return self.body.op("Slice", self.body.op("Shape", x), self.body.ints(first), self.body.ints(last))

    def _padded(self, x: Expression, axis: int, rank: int) -> Expression:
        """Inputs filled up to whole tiles."""
        missing = self.tiling.tiles * self.tiling.depth - self.tiling.inputs
        if not missing:
            return x
        pads = [0] * (2 * rank)
        pads[rank + axis] = missing
        return self.body.op("Pad", x, self.body.ints(*pads))

    def _largest(self, array: Expression, axes: tuple[int, ...] | None) -> Expression:
        return self.body.reduce("ReduceMax", self.body.op("Abs", array), axes, keepdims=False)


class MatrixProduct(Product):
    """MatMul and Gemm: [B, K] times [K, N], tiles as a batch of matrices."""

    def __init__(self, body: Body, crossbar: "Crossbar") -> None:
        """Write into `body`."""
        super().__init__(body, crossbar, MATRIX_AXES, (-1,))

    def vectors(self, activation: Expression) -> Expression:
        """[..., K], or [B, K] where there are parts."""
        x = self._swapped(activation) if self.crossbar.columns else activation
        if not self.crossbar.has_parts:
            return x
        self._leading = self.body.op("Slice", self.body.op("Shape", x), self.body.ints(0), self.body.ints(-1))
        return self._reshaped(x, -1, self.tiling.inputs)

    def merged(self, digits: Expression) -> Expression:
        """[I, B, K] as [I B, K]."""
        return self._reshaped(digits, -1, self.tiling.inputs)

    def multiply(self, x: Expression, array: Expression) -> Expression:
        """[..., N], or partial sums [1, T, I, B, S, N]."""
        w = self._swapped(array) if self.tiling.outputs_first else array
        if not self.crossbar.has_parts:
            return self.body.op("MatMul", x, w)
        tiles, depth, outputs = self.tiling.tiles, self.tiling.depth, self.tiling.outputs
        if self.crossbar.slicing:  # [S, K, N]
            w = self._reshaped(self.body.op("Transpose", w, perm=[1, 0, 2]), -1, self.slices * outputs)
        w = self._reshaped(self._padded(w, 0, 2), tiles, depth, self.slices * outputs)
        y = self.body.op("MatMul", self._tiles(x), w)
        return self._reshaped(y, 1, tiles, self.passes, -1, self.slices, outputs)

    def squares(self, x: Expression, array: Expression) -> Expression:
        """[..., 1], or [1, T, I, B, 1, 1]."""
        squares = self.body.reduce("ReduceSumSquare", self._tiles(x) if self.crossbar.has_parts else x, (-1,))
        if not self.crossbar.has_parts:
            return squares
        return self._reshaped(squares, 1, self.tiling.tiles, self.passes, -1, 1, 1)

    def per_channel(self, array: Expression) -> Expression:
        """Scalar, or [N]."""
        if not self.crossbar.per_channel:
            return self._largest(array, None)
        return self._largest(array, (1,) if self.tiling.outputs_first else (0,))

    def digital(self, y: Expression) -> Expression:
        """[..., N], or [N, ...] of a left operand; times alpha."""
        if self.crossbar.has_parts:
            y = self._reshaped(y, self._leading, self.tiling.outputs)
        if self.crossbar.operand == 0 and (self.crossbar.columns or self.crossbar.op_type == "Gemm"):
            y = self._swapped(y)
        return self._scaled(y, "alpha")

    def bias(self, bias: Expression) -> Expression:
        """C times beta."""
        return self._scaled(bias, "beta")

    def _tiles(self, x: Expression) -> Expression:
        """[B, K] as [T, B, depth]."""
        tiles, depth = self.tiling.tiles, self.tiling.depth
        if tiles == 1:
            return x
        return self.body.op("Transpose", self._reshaped(self._padded(x, 1, 2), -1, tiles, depth), perm=[1, 0, 2])

    def _swapped(self, x: Expression) -> Expression:
        """The last two axes exchanged."""
        return self.body.op("Einsum", x, equation="...ij->...ji")

    def _scaled(self, x: Expression, attribute: str) -> Expression:
        if (attribute, ir.AttributeType.FLOAT) not in self.crossbar.attributes:
            return x
        return x * self.body.op("Constant", value_float=ir.RefAttr("value_float", attribute, ir.AttributeType.FLOAT))


class Convolution(Product):
    """Conv and ConvTranspose: tiles as more groups."""

    def __init__(self, body: Body, crossbar: "Crossbar") -> None:
        """Write into `body`."""
        self.spatial = crossbar.rank - 2
        super().__init__(body, crossbar, convolution_axes(crossbar.rank), tuple(range(1, crossbar.rank)))
        self.transposed = crossbar.op_type == "ConvTranspose"

    def vectors(self, activation: Expression) -> Expression:
        """The activation [B, C, ...] itself."""
        return activation

    def merged(self, digits: Expression) -> Expression:
        """[I, B, C, ...] as [I B, C, ...]."""
        return self._reshaped(digits, -1, self._dimensions(digits, 2))

    def multiply(self, x: Expression, array: Expression) -> Expression:
        """[B, M, ...], or partial sums [I, B, G, T, S, M / G, ...]."""
        if not self.crossbar.has_parts:
            return self._stock(x, array)
        y = self._stock(self._tiles(x), self._retiled(array))
        return self._split(y, self.slices, self.tiling.outputs)

    def squares(self, x: Expression, array: Expression) -> Expression:
        """The stock operator on x^2 and a kernel of ones: [B, 1 or M, ...], or [I, B, G, T, 1, 1, ...]."""
        groups, tiles, depth = self.tiling.groups, self.tiling.tiles, self.tiling.depth
        kernel = self._dimensions(array, -self.spatial)
        if self.crossbar.has_parts:
            x = self._tiles(x)
            shape = (groups * tiles * depth, 1) if self.transposed else (groups * tiles, depth)
            ones = self._shape(*shape, kernel)
        elif groups > 1:  # channels of groups lie next to each other, so their sums must be there for every channel
            ones = self.body.op("Shape", array)
        elif self.transposed:
            ones = self._shape(self._dimensions(array, 0, 1), 1, kernel)
        else:
            ones = self._shape(1, self._dimensions(array, 1))
        y = self._stock(x * x, self.body.op("Expand", 1.0, ones))
        return self._split(y, 1, 1) if self.crossbar.has_parts else y

    def per_channel(self, array: Expression) -> Expression:
        """Scalar, or [M, 1, ...], or placed [G, M / G]."""
        if not self.crossbar.per_channel:
            return self._largest(array, None)
        axes = tuple(range(2, self.crossbar.rank + 1))
        if self.transposed:  # [G, C / G, M / G, ...]
            axes = (1, *axes[1:])
        grouped = self._reshaped(array, self.tiling.groups, -1, self._dimensions(array, 1))
        largest = self._largest(grouped, axes)  # [G, M / G]
        if self.crossbar.has_parts:
            return self._placed(largest, "gn")
        return self._reshaped(largest, -1, *(1,) * self.spatial)

    def digital(self, y: Expression) -> Expression:
        """[B, M, ...]."""
        if not self.crossbar.has_parts:
            return y
        return self._reshaped(y, -1, self.tiling.groups * self.tiling.outputs, self._dimensions(y, 3))

    def bias(self, bias: Expression) -> Expression:
        """[M, 1, ...]."""
        return self._reshaped(bias, -1, *(1,) * self.spatial)

    def _stock(self, x: Expression, array: Expression) -> Expression:
        attributes = {name: ir.RefAttr(name, name, kind) for name, kind in self.crossbar.attributes}
        groups = self.tiling.groups * self.tiling.tiles
        given: dict[str, Any] = attributes | ({"group": groups} if self.crossbar.has_parts else {})
        return self.body.op(self.crossbar.op_type, x, array, **given)

    def _tiles(self, x: Expression) -> Expression:
        """[B, C, ...] with the channels of each group filled up to whole tiles."""
        groups, inputs = self.tiling.groups, self.tiling.inputs
        places = self.tiling.tiles * self.tiling.depth
        if places == inputs:
            return x
        padded = self._padded(self._reshaped(x, -1, groups, inputs, self._dimensions(x, 2)), 2, self.spatial + 3)
        return self._reshaped(padded, -1, groups * places, self._dimensions(padded, 3))

    def _retiled(self, array: Expression) -> Expression:
        """Weights [S, M, C / G, ...] as [G T S M / G, depth, ...], [S, C, M / G, ...] as [G T depth, S M / G, ...]."""
        groups, tiles, depth = self.tiling.groups, self.tiling.tiles, self.tiling.depth
        inputs, outputs, positions = self.tiling.inputs, self.tiling.outputs, self.tiling.positions
        kernel = self._dimensions(array, -self.spatial)
        if self.transposed:
            w = self._padded(self._reshaped(array, self.slices, groups, inputs, outputs, positions), 2, 5)
            w = self._reshaped(w, self.slices, groups, tiles * depth, outputs, positions)
            w = self.body.op("Transpose", w, perm=[1, 2, 0, 3, 4])
            return self._reshaped(w, groups * tiles * depth, self.slices * outputs, kernel)
        w = self._padded(self._reshaped(array, self.slices, groups, outputs, inputs, positions), 3, 5)
        w = self._reshaped(w, self.slices, groups, outputs, tiles, depth, positions)
        w = self.body.op("Transpose", w, perm=[1, 3, 0, 2, 4, 5])
        return self._reshaped(w, groups * tiles * self.slices * outputs, depth, kernel)

    def _split(self, y: Expression, slices: int, outputs: int) -> Expression:
        shape = (self.passes, -1, self.tiling.groups, self.tiling.tiles, slices, outputs)
        return self._reshaped(y, *shape, self._dimensions(y, 2))


PRODUCTS: dict[str, type[MatrixProduct | Convolution]] = {
    "MatMul": MatrixProduct,
    "Gemm": MatrixProduct,
    "Conv": Convolution,
    "ConvTranspose": Convolution,
}
"""The product of each operator that has a crossbar."""
