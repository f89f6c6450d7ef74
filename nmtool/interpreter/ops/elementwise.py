"""Operators that work element by element."""

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from nmtool.interpreter.registry import register_op
from nmtool.interpreter.values import Value, is_host, on_host, tensor, tensors

_UNARY = {
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "BitwiseNot": torch.bitwise_not,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "IsNaN": torch.isnan,
    "Log": torch.log,
    "Reciprocal": torch.reciprocal,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
    "Tanh": torch.tanh,
}
for _name, _function in _UNARY.items():
    register_op(_name)(_function)


_BROADCAST = {"broadcast": (0, 1)}  # before opset 7; with the attribute axis it was not what it is today


def _binary(function: Callable[..., Any], host: Callable[..., Any], a: Value, b: Value) -> Value:
    return on_host(host, a, b) if is_host(a, b) else function(*tensors(a, b))


@register_op("Identity")
def identity(x: Value) -> Value:
    """The input."""
    return x


@register_op("Abs")
def absolute(x: Value) -> Value:
    """|x|."""
    return on_host(abs, x) if is_host(x) else torch.abs(tensor(x))


@register_op("Neg")
def negative(x: Value) -> Value:
    """-x."""
    return on_host(operator.neg, x) if is_host(x) else torch.neg(tensor(x))


@register_op("Not")
def logical_not(x: Value) -> Value:
    """Not x."""
    return on_host(operator.not_, x) if is_host(x) else torch.logical_not(tensor(x))


@register_op("Add", only=_BROADCAST)
def add(a: Value, b: Value) -> Value:
    """a + b."""
    return _binary(torch.add, operator.add, a, b)


@register_op("Sub", only=_BROADCAST)
def subtract(a: Value, b: Value) -> Value:
    """a - b."""
    return _binary(torch.sub, operator.sub, a, b)


@register_op("Mul", only=_BROADCAST)
def multiply(a: Value, b: Value) -> Value:
    """a * b."""
    return _binary(torch.mul, operator.mul, a, b)


@register_op("Div", only=_BROADCAST)
def divide(a: Value, b: Value) -> Value:
    """a / b; integers are truncated towards zero."""
    return _binary(_divide, _divide_ints, a, b)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


def _divide_ints(a: int, b: int) -> int:
    return a // b if (a >= 0) == (b > 0) else -(-a // b)


@register_op("Mod")
def modulo(a: Value, b: Value, *, fmod: int = 0) -> Value:
    """Remainder, with the sign of b, or of a if `fmod`."""
    if is_host(a, b) and not fmod:
        return on_host(operator.mod, a, b)
    function = torch.fmod if fmod else torch.remainder
    return function(*tensors(a, b))


@register_op("Pow", only=_BROADCAST)
def power(a: Value, b: Value) -> Value:
    """a ** b, in the type of a."""
    if is_host(a, b):
        return on_host(operator.pow, a, b)
    base, exponent = tensors(a, b)
    return torch.pow(base, exponent).to(base.dtype)


@register_op("Equal")
def equal(a: Value, b: Value) -> Value:
    """a == b."""
    return _binary(torch.eq, operator.eq, a, b)


@register_op("Less")
def less(a: Value, b: Value) -> Value:
    """a < b."""
    return _binary(torch.lt, operator.lt, a, b)


@register_op("LessOrEqual")
def less_or_equal(a: Value, b: Value) -> Value:
    """a <= b."""
    return _binary(torch.le, operator.le, a, b)


@register_op("Greater")
def greater(a: Value, b: Value) -> Value:
    """a > b."""
    return _binary(torch.gt, operator.gt, a, b)


@register_op("GreaterOrEqual")
def greater_or_equal(a: Value, b: Value) -> Value:
    """a >= b."""
    return _binary(torch.ge, operator.ge, a, b)


@register_op("And")
def logical_and(a: Value, b: Value) -> Value:
    """a and b."""
    return _binary(torch.logical_and, operator.and_, a, b)


@register_op("Or")
def logical_or(a: Value, b: Value) -> Value:
    """a or b."""
    return _binary(torch.logical_or, operator.or_, a, b)


@register_op("Xor")
def logical_xor(a: Value, b: Value) -> Value:
    """a xor b."""
    return _binary(torch.logical_xor, operator.xor, a, b)


@register_op("BitwiseAnd")
def bitwise_and(a: Value, b: Value) -> Value:
    """a & b."""
    return _binary(torch.bitwise_and, operator.and_, a, b)


@register_op("BitwiseOr")
def bitwise_or(a: Value, b: Value) -> Value:
    """a | b."""
    return _binary(torch.bitwise_or, operator.or_, a, b)


@register_op("BitwiseXor")
def bitwise_xor(a: Value, b: Value) -> Value:
    """a ^ b."""
    return _binary(torch.bitwise_xor, operator.xor, a, b)


@register_op("Max")
def maximum(*xs: Value) -> Value:
    """The largest of the inputs."""
    return on_host(max, *xs) if is_host(*xs) and len(xs) > 1 else reduce(torch.maximum, tensors(*xs))


@register_op("Min")
def minimum(*xs: Value) -> Value:
    """The smallest of the inputs."""
    return on_host(min, *xs) if is_host(*xs) and len(xs) > 1 else reduce(torch.minimum, tensors(*xs))


@register_op("Sum")
def total(*xs: Value) -> Tensor:
    """Sum of the inputs."""
    return reduce(torch.add, tensors(*xs))


@register_op("Mean")
def mean(*xs: Value) -> Tensor:
    """Mean of the inputs."""
    return reduce(torch.add, tensors(*xs)) / len(xs)


@register_op("Where")
def where(condition: Value, a: Value, b: Value) -> Value:
    """A where the condition holds, else b."""
    if is_host(condition, a, b):
        return on_host(lambda c, x, y: x if c else y, condition, a, b)
    return torch.where(*tensors(condition, a, b))


@register_op("IsInf")
def is_infinite(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """Where x is infinite, of the chosen signs."""
    found = torch.isinf(x)
    if not detect_negative:
        found = found & (x > 0)
    return found if detect_positive else found & (x < 0)
