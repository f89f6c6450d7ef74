"""Composite noisy operators: perturb the weights, then call the stock operator.

Each is a model-local function, so a runtime expands it at load and its own fusions and kernels still apply. The inputs
are the stock operator's required inputs, the parameters of the noise, the trial, the scale, then the optional inputs.
"""

from collections.abc import Sequence

import onnx_ir as ir
from onnx import parser

from nmtool.noise.base import PARAMETER_NAMES, Stage, Unit
from nmtool.ops import DOMAIN, VERSION
from nmtool.ops.analog import ANALOG_OPS

NOISE_ATTRIBUTES = ("seed", "stream", "dtype")
"""Attributes of a composite besides those of its stock operator."""

_SHORT = {"GaussianNoise": "", "LognormalNoise": "Lognormal", "StuckFaults": "Stuck"}


def composite_name(op_type: str, operand: int, stages: Sequence[Stage]) -> str:
    """For instance NoisyConv, NoisyMatMulLeft (the array is the left operand) or NoisyGemmLognormal."""
    left = "Left" if operand == 0 else ""
    return f"Noisy{op_type}{left}{''.join(_SHORT[stage.primitive] for stage in stages)}"


def parameter_names(stages: Sequence[Stage]) -> list[str]:
    """Names of the parameters of all stages; numbered where there are several stages."""
    number = "" if len(stages) == 1 else "{}"
    return [name + number.format(k) for k, stage in enumerate(stages) for name in PARAMETER_NAMES[stage.primitive]]


def composite_function(
    name: str, op_type: str, operand: int, stages: Sequence[Stage], attributes: Sequence[ir.Attr], opset: int
) -> ir.Function:
    """The function `name`: the stock operator of ai.onnx with noise on one operand.

    Args:
        name: the function's name.
        op_type: stock operator, one with a composite in ANALOG_OPS.
        operand: which input is the array.
        stages: what is applied to the array, in order; stage k is draw k of the stream.
        attributes: the stock attributes that calls of this function give. They must be given, because a reference to an
            absent attribute is an error in some runtimes.
        opset: opset of ai.onnx of the model.
    """
    op = ANALOG_OPS["", op_type]
    stock = [ir.val(input_name) for input_name in op.inputs]
    parameters = [ir.val(parameter) for parameter in parameter_names(stages)]
    trial, scale = ir.val("noise_trial"), ir.val("noise_scale")
    weights, nodes, remaining = stock[operand], [], list(parameters)
    for draw, stage in enumerate(stages):
        count = len(stage.parameters)
        node = ir.Node(
            DOMAIN,
            stage.primitive,
            [weights, *remaining[:count], trial, scale],
            [*_references(NOISE_ATTRIBUTES), ir.AttrInt64("draw", draw)],
            outputs=[ir.val(f"noisy{draw}")],
        )
        del remaining[:count]
        weights = node.outputs[0]
        nodes.append(node)
    operands = list(stock)
    operands[operand] = weights
    references = [ir.RefAttr(attribute.name, attribute.name, attribute.type) for attribute in attributes]
    nodes.append(ir.Node("", op_type, operands, references, outputs=[ir.val("Y")]))
    graph = ir.Graph(
        [*stock[: op.required], *parameters, trial, scale, *stock[op.required :]],
        nodes[-1].outputs,
        nodes=nodes,
        opset_imports={"": opset, DOMAIN: VERSION},
        name=name,
    )
    declared = [ir.Attr(attribute.name, attribute.type, None) for attribute in [*attributes, *_declarations()]]
    return ir.Function(DOMAIN, name, graph=graph, attributes=declared)


def _declarations() -> list[ir.Attr]:
    return [ir.Attr(name, ir.AttributeType.INT, None) for name in NOISE_ATTRIBUTES]


def _references(names: Sequence[str]) -> list[ir.Attr]:
    return [ir.RefAttr(name, name, ir.AttributeType.INT) for name in names]


_UNIT_BODIES: dict[Unit, str] = {
    "range": "high = ReduceMax {b}\nlow = ReduceMin {b}\nrange = Sub (high, low)",
    "max": "size = Abs (B)\nmax = ReduceMax {size}",
    "std": (
        "mean = ReduceMean {b}\ncentred = Sub (B, mean)\nsquare = Mul (centred, centred)\n"
        "variance = ReduceMean {square}\nstd_unit = Sqrt (variance)"
    ),
}
_UNIT_VALUES: dict[Unit, str] = {"range": "range", "max": "max", "std": "std_unit"}


def has_dynamic_form(stages: Sequence[Stage]) -> bool:
    """Whether noise can be sized at run time: a single stage, and not StuckFaults (one set of values per matrix)."""
    return len(stages) == 1 and stages[0].primitive != "StuckFaults"


def dynamic_matmul(stage: Stage, opset: int) -> ir.Function:
    """NoisyMatMulDynamic: the right operand is an activation, written to an array at run time.

    The unit of the noise is taken from each matrix (the last two axes) by itself, so a sample's noise does not depend
    on the values in the rest of its batch. Needs opset 11 (negative axes).
    """
    by_input = opset >= 18  # the Reduce operators take their axes as an input from opset 18 on

    def reduce(value: str) -> str:
        return f"({value}, axes)" if by_input else f"<axes = [-2, -1]> ({value})"

    lines = ["axes = Constant <value_ints = [-2, -1]> ()"] if by_input else []
    names = parameter_names((stage,))
    operands = dict(zip(names, (parameter.unit for parameter in stage.parameters), strict=True))
    for unit in sorted({unit for unit in operands.values() if unit != "one"}):
        lines += _UNIT_BODIES[unit].format(b=reduce("B"), size=reduce("size"), square=reduce("square")).splitlines()
        lines.append(f"unit_{unit} = Cast <to = 1> ({_UNIT_VALUES[unit]})")
    lines += [f"absolute_{name} = Mul ({name}, unit_{unit})" for name, unit in operands.items() if unit != "one"]
    absolute = ", ".join(name if unit == "one" else f"absolute_{name}" for name, unit in operands.items())
    noise = "seed : int = @seed, stream : int = @stream, dtype : int = @dtype, draw = 0"
    lines += [
        f"noisy0 = {DOMAIN}.{stage.primitive} <{noise}> (B, {absolute}, noise_trial, noise_scale)",
        "Y = MatMul (A, noisy0)",
    ]
    text = (
        f'<domain: "{DOMAIN}", opset_import: ["" : {opset}, "{DOMAIN}" : {VERSION}]>\n'
        f"{composite_name('MatMulDynamic', 1, (stage,))} <{', '.join(NOISE_ATTRIBUTES)}>"
        f" (A, B, {', '.join(names)}, noise_trial, noise_scale) => (Y)\n{{\n" + "\n".join(lines) + "\n}"
    )
    return ir.serde.deserialize_function(parser.parse_function(text))
