"""Converters as ONNX functions: rounding to steps, and cutting into digits."""

from collections.abc import Callable

import onnx_ir as ir

from nmtool.ops.expression import Body, Expression


def quantize_function(opset: int) -> ir.Function:
    """`Quantize (x, range, lowest, levels) => (y)`: a signal in steps of range / levels.

    It is limited to [lowest * range, range]; `lowest` is -1 for signed signals and 0 for unsigned ones, and range
    broadcasts to x. Halves go to the even step.
    """
    body = Body(opset)
    x, limit, lowest, levels = (body.input(name) for name in ("x", "range", "lowest", "levels"))
    width = limit / levels
    steps = body.op("Round", x / width)
    return body.function("Quantize", [body.op("Min", body.op("Max", steps, lowest * levels), levels) * width])


def digits_function(opset: int) -> ir.Function:
    """`Digits (x, range, lowest, levels, powers, base) => (y)`: the digits of a quantized signal.

    The magnitude of Quantize's step is written in digits, `base` = 2^bits of them to a `powers` [D], ascending powers
    of the base. y [D, ...] holds digit / (base - 1) * range, with the sign of x: all digits use the whole range.
    """
    body = Body(opset)
    x, limit, lowest, levels = (body.input(name) for name in ("x", "range", "lowest", "levels"))
    powers, base = body.input("powers"), body.input("base")
    width = limit / levels
    steps = body.op("Round", x / width)
    limited = body.op("Min", body.op("Max", steps, lowest * levels), levels)
    rank = body.op("Shape", body.op("Shape", x))
    ones = body.op("ConstantOfShape", rank, value=ir.tensor([1]))
    stacked = body.op("Concat", body.ints(-1), ones, axis=0)
    high = floor(body.op("Abs", limited) / body.op("Reshape", powers, stacked))
    digits = high - base * floor(high / base)
    return body.function("Digits", [body.op("Sign", limited) * (digits * (limit / (base - 1.0)))])


def floor(x: Expression) -> Expression:
    """The largest integer not above x."""
    return x.body.op("Floor", x)


CONVERTERS: dict[str, Callable[[int], ir.Function]] = {"Quantize": quantize_function, "Digits": digits_function}
"""The functions that crossbars call, by name; they take the opset of ai.onnx."""
