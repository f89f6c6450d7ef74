"""What the zoo is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx


@dataclass(frozen=True)
class Entry:
    """A model and what inject finds in it.

    Attributes:
        proto: the model.
        noisy: names of the arrays, one for each noisy node and operand, in graph order.
        digital: name of the first output of a digital node -> part of its reason.
        reference: whether onnx's reference evaluator can run it.
        options: options of inject.
    """

    proto: onnx.ModelProto
    noisy: tuple[str, ...]
    digital: Mapping[str, str] = field(default_factory=dict)
    reference: bool = True
    options: Mapping[str, object] = field(default_factory=dict)


ZOO: dict[str, Entry] = {}


def add(name: str, proto: onnx.ModelProto, noisy: tuple[str, ...], **rest: Any) -> None:
    """Put an entry into the zoo."""
    assert name not in ZOO
    ZOO[name] = Entry(proto, noisy, **rest)
