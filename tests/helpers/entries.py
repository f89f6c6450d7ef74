"""What the zoo is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
