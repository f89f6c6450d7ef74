"""Weights that are handed to model-local functions as arguments.

Inside the function such a weight is a parameter, different at every call, so the noise goes in front of the call: a
call whose parameter is only ever used as an array counts as an analog operator itself.
"""

from dataclasses import dataclass, field

import onnx_ir as ir

from nmtool.ops.analog import ANALOG_OPS
from nmtool.passes.constants import LAYOUT_OPS
from nmtool.passes.graphs import label


@dataclass
class CallWeights:
    """What the parameters of one function are used for.

    Attributes:
        arrays: indices of the parameters that only analog operators use, as arrays.
        mixed: index -> label of another operator that also uses the parameter, so it cannot be perturbed at the call.
    """

    arrays: set[int] = field(default_factory=set)
    mixed: dict[int, str] = field(default_factory=dict)

    @property
    def parameters(self) -> list[int]:
        """Indices of all parameters that reach an analog operator."""
        return sorted({*self.arrays, *self.mixed})


def call_weights(model: ir.Model) -> dict[ir.OperatorIdentifier, CallWeights]:
    """For every model-local function with parameters that reach an analog operator, how they are used."""
    found: dict[ir.OperatorIdentifier, CallWeights] = {}
    while True:  # a function may pass its parameter on to another: repeat until nothing new is found
        before = {identifier: set(weights.arrays) for identifier, weights in found.items()}
        found = {
            function.identifier(): weights
            for function in model.functions.values()
            if (weights := _analyze(function, found)).arrays or weights.mixed
        }
        if before == {identifier: weights.arrays for identifier, weights in found.items()}:
            return found


def _analyze(function: ir.Function, known: dict[ir.OperatorIdentifier, CallWeights]) -> CallWeights:
    result = CallWeights()
    for index, parameter in enumerate(function.inputs):
        analog: list[str] = []
        other: list[str] = []
        _follow(parameter, known, analog, other)
        if analog and other:
            result.mixed[index] = other[0]
        elif analog:
            result.arrays.add(index)
    return result


def _follow(
    value: ir.Value, known: dict[ir.OperatorIdentifier, CallWeights], analog: list[str], other: list[str]
) -> None:
    """Sort the uses of `value`, through layout operators, into analog nodes and others."""
    if value.is_graph_output():
        other.append("the function's output")
    for node, index in value.uses():
        op = ANALOG_OPS.get((node.domain, node.op_type))
        callee = known.get(node.op_identifier())
        if (op and index in op.operands) or (callee and index in callee.arrays):
            analog.append(label(node))
        elif node.domain in ("", "ai.onnx") and node.op_type in LAYOUT_OPS and index == 0:
            _follow(node.outputs[0], known, analog, other)
        else:
            other.append(label(node))
