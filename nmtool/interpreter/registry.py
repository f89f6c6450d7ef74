"""Which torch code computes which ONNX operator."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])

CONVERTER_OPS = {("", "Constant"), ("", "If")}
"""Operators that the converter handles itself."""

_FROM_THE_NODE = ("opset", "outputs", "stateful")  # keyword arguments that are no attributes of the operator


@dataclass(frozen=True)
class Op:
    """How one operator is computed, in all its versions.

    Attributes:
        target: a function `f(*inputs, **attributes)`, or a torch.nn.Module class that takes the attributes when it is
            made and the inputs when it is called.
        attributes: names of the attributes it knows, or None for any.
        side: inputs that configure the operator (axes, limits, scales): never trained, and given as Python numbers
            where they are short constants.
        state: inputs that training updates without a gradient: running statistics.
        frozen: inputs that are never trained, but stay tensors: scales and zero points of quantization.
        only: attribute -> the values that are implemented, where these are not all.
        wants: which of `opset` (version of the operator's domain), `outputs` (their number) and `stateful` (whether the
            inputs in `state` are constants) the target takes.
        inputs: how many inputs it knows, or None for any number.
    """

    target: Callable[..., Any]
    attributes: frozenset[str] | None
    side: frozenset[int] = frozenset()
    state: frozenset[int] = frozenset()
    frozen: frozenset[int] = frozenset()
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    wants: tuple[str, ...] = ()
    inputs: int | None = None


_OPS: dict[tuple[str, str], Op] = {}


def register_op(
    *op_types: str,
    domain: str = "",
    side: Iterable[int] = (),
    state: Iterable[int] = (),
    frozen: Iterable[int] = (),
    only: Mapping[str, tuple[Any, ...]] | None = None,
) -> Callable[[T], T]:
    """Decorator: the function (or torch.nn.Module class) computes the operators `op_types`.

    A function gets the inputs as positional arguments, None for an absent one, and the attributes as keyword arguments
    under their ONNX names, when the node has them: defaults are the function's. It returns the output, or a tuple of
    them. A keyword argument `opset` receives the version of the model's opset, `outputs` the number of outputs,
    `stateful` whether the inputs in `state` are constants.

    Args:
        op_types: names of the operators.
        domain: their domain; "" is ai.onnx.
        side: indices of the inputs that only configure the operator, and so are never trained.
        state: indices of the inputs that are statistics, updated in place during training.
        frozen: indices of the inputs that are tensors, but never trained.
        only: attribute -> values that are implemented, where some are not: a model with others is refused. The target
            gets the attribute where it takes it.
    """

    def register(target: T) -> T:
        keywords = _keywords(target)
        attributes = None if keywords is None else frozenset(keywords).difference(_FROM_THE_NODE)
        wants = tuple(name for name in _FROM_THE_NODE if keywords and name in keywords)
        for op_type in op_types:
            fixed = (frozenset(side), frozenset(state), frozenset(frozen))
            _OPS[domain, op_type] = Op(target, attributes, *fixed, only or {}, wants, _inputs(target))
        return target

    return register


def find_op(domain: str, op_type: str) -> Op | None:
    """The registered operator, or None."""
    return _OPS.get((domain, op_type))


def registered() -> list[tuple[str, str]]:
    """(domain, name) of all operators, sorted."""
    return sorted({*_OPS, *CONVERTER_OPS})


def _inputs(target: Callable[..., Any]) -> int | None:
    """Number of positional parameters, or None where any number is taken, or it is not known."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:  # torch's own functions have no signature
        return None
    if isinstance(target, type) or any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    return sum(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)


def _keywords(target: Callable[..., Any]) -> set[str] | None:
    """Names of the keyword-only parameters, or None where any is taken."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:  # torch's own functions have no signature
        return set()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
