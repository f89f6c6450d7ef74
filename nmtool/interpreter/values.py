"""Values of a converted model: tensors, and integers that stay on the host.

Shape arithmetic (`Shape -> Gather -> Concat -> Reshape`) is done in Python: a scalar is an int and a vector a list of
ints, always for int64. That needs no synchronization with a GPU, and torch.compile can follow it.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Host: TypeAlias = int | float | bool | list[int] | list[float] | list[bool]
Value: TypeAlias = Tensor | Host

DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    4: torch.uint16,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    12: torch.uint32,
    13: torch.uint64,
    14: torch.complex64,
    15: torch.complex128,
    16: torch.bfloat16,
}
"""ONNX element type -> torch dtype."""


def is_host(*values: Any) -> bool:
    """Whether none of the values is a tensor."""
    return not any(isinstance(value, Tensor) for value in values)


def tensor(value: Any, like: Tensor | None = None) -> Tensor:
    """The value as a tensor, on the device of `like`."""
    if isinstance(value, Tensor):
        return value
    return torch.tensor(value, device=None if like is None else like.device, dtype=None if value != [] else torch.int64)


def tensors(*values: Any) -> list[Tensor]:
    """The values as tensors on one device."""
    like = next((value for value in values if isinstance(value, Tensor)), None)
    return [tensor(value, like) for value in values]


def ints(value: Any) -> list[int]:
    """A vector of integers, wherever it is, as a Python list; a scalar is a vector of one."""
    if isinstance(value, Tensor):
        return [int(item) for item in value.flatten().tolist()]
    return list(value) if isinstance(value, Sequence) else [value]


def floats(value: Any) -> list[float]:
    """A vector of numbers as a Python list of floats."""
    if isinstance(value, Tensor):
        return [float(item) for item in value.flatten().tolist()]
    return [float(item) for item in (value if isinstance(value, Sequence) else [value])]


def scalar(value: Any) -> Any:
    """The only element, as a Python number."""
    if isinstance(value, Tensor):
        return value.item()
    return value[0] if isinstance(value, Sequence) else value


def on_host(function: Callable[..., Any], *values: Any) -> Host:
    """Apply `function` to the elements of host values, with broadcasting."""
    lengths = [len(value) for value in values if isinstance(value, Sequence)]
    if not lengths:
        result: Host = function(*values)
        return result
    columns = [value if isinstance(value, Sequence) else [value] for value in values]
    if any(len(column) == 0 for column in columns):
        return []
    return [function(*(column[k % len(column)] for column in columns)) for k in range(max(lengths))]


def positive(axis: int, rank: int) -> int:
    """The axis counted from the front."""
    return axis + rank if axis < 0 else axis
