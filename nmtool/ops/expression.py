"""Writing the body of an ONNX function as arithmetic."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir
from onnx_ir.tape import Tape

from nmtool.ops import DOMAIN, VERSION

Number: TypeAlias = "Expression | float"


class Body:
    """The nodes of a function while it is written.

    Attributes:
        opset: of ai.onnx, which decides how operators take their axes.
    """

    def __init__(self, opset: int) -> None:
        """Start an empty body."""
        self.opset = opset
        self._tape = Tape()
        self._inputs: list[ir.Value] = []
        self._constants: dict[Any, Expression] = {}

    def input(self, name: str) -> "Expression":
        """A new input of the function."""
        self._inputs.append(ir.val(name))
        return Expression(self._inputs[-1], self)

    def op(
        self, op_type: str, *inputs: "Number | None", domain: str = "", outputs: int = 1, **attributes: Any
    ) -> "Expression":
        """The first output of a node with `outputs` of them.

        Numbers become float32 constants; None is an absent input, ir.RefAttr a reference to an attribute.
        """
        values = [None if x is None else self._expression(x).value for x in inputs]
        references = {name: each for name, each in attributes.items() if isinstance(each, ir.Attr)}
        given = {name: each for name, each in attributes.items() if name not in references}
        value = self._tape.op_multi_out(op_type, values, given, domain=domain, num_outputs=outputs)[0]
        node = value.producer()
        assert node is not None
        for attribute in references.values():
            node.attributes.add(attribute)
        return Expression(value, self)

    def integer(self, value: int) -> "Expression":
        """An int64 scalar."""
        return self._constant(("integer", value), np.array(value, np.int64))

    def ints(self, *values: int) -> "Expression":
        """An int64 vector."""
        return self._constant(("ints", values), np.array(values, np.int64))

    def floats(self, *values: float) -> "Expression":
        """A float32 vector."""
        return self._constant(("floats", values), np.array(values, np.float32))

    def reduce(self, op_type: str, x: "Expression", axes: Sequence[int] | None, keepdims: bool = True) -> "Expression":
        """A Reduce operator; its axes are an input from opset 18 on (of ReduceSum from 13 on). None: all axes."""
        by_input = self.opset >= (13 if op_type == "ReduceSum" else 18)
        if axes is None:
            return self.op(op_type, x, keepdims=int(keepdims))
        if by_input:
            return self.op(op_type, x, self.ints(*axes), keepdims=int(keepdims))
        return self.op(op_type, x, axes=list(axes), keepdims=int(keepdims))

    def function(self, name: str, outputs: Sequence["Expression"], attributes: Sequence[ir.Attr] = ()) -> ir.Function:
        """The finished function of domain nmtool.

        Args:
            name: its name.
            outputs: its outputs.
            attributes: declarations of the attributes that the body refers to.
        """
        graph = ir.Graph(
            self._inputs,
            [each.value for each in outputs],
            nodes=self._tape.nodes,
            opset_imports={"": self.opset, DOMAIN: VERSION},
            name=name,
        )
        return ir.Function(DOMAIN, name, graph=graph, attributes=attributes)

    def _expression(self, x: Number) -> "Expression":
        return x if isinstance(x, Expression) else self._constant(float(x), np.array(x, np.float32))

    def _constant(self, key: Any, array: np.ndarray) -> "Expression":
        if key not in self._constants:
            self._constants[key] = self.op("Constant", value=ir.tensor(array))
        return self._constants[key]


class Expression:
    """A value of a body; arithmetic on it adds nodes.

    Attributes:
        value: the value.
        body: where it is.
    """

    def __init__(self, value: ir.Value, body: Body) -> None:
        """Refer to `value` of `body`."""
        self.value = value
        self.body = body

    def __add__(self, other: Number) -> "Expression":
        return self.body.op("Add", self, other)

    def __radd__(self, other: float) -> "Expression":
        return self.body.op("Add", other, self)

    def __sub__(self, other: Number) -> "Expression":
        return self.body.op("Sub", self, other)

    def __rsub__(self, other: float) -> "Expression":
        return self.body.op("Sub", other, self)

    def __mul__(self, other: Number) -> "Expression":
        return self.body.op("Mul", self, other)

    def __rmul__(self, other: float) -> "Expression":
        return self.body.op("Mul", other, self)

    def __truediv__(self, other: Number) -> "Expression":
        return self.body.op("Div", self, other)

    def __rtruediv__(self, other: float) -> "Expression":
        return self.body.op("Div", other, self)

    def __pow__(self, other: Number) -> "Expression":
        return self.body.op("Pow", self, other)

    def __neg__(self) -> "Expression":
        return self.body.op("Neg", self)

    def __lt__(self, other: Number) -> "Expression":
        return self.body.op("Less", self, other)

    def __gt__(self, other: Number) -> "Expression":
        return self.body.op("Greater", self, other)
