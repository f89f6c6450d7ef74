"""Arrays on their way from numpy to torch and back."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nmtool.interpreter.weights import to_tensor


def to_tensors(arrays: Mapping[str, NDArray[Any]], names: Iterable[str]) -> tuple[Tensor, ...]:
    """Copies of the named arrays, in that order, on the CPU."""
    return tuple(to_tensor(ir.tensor(arrays[name])) for name in names)


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """The values, of the same type where numpy has it; float32 for bfloat16."""
    values = tensor.detach().cpu()
    return np.asarray((values.float() if values.dtype == torch.bfloat16 else values).numpy())


def state(module: nn.Module, paths: Mapping[str, str]) -> dict[str, Tensor]:
    """The parameters and buffers of a converted model by their ONNX names; `paths` has their paths by those names."""
    return {name: attrgetter(path)(module) for name, path in paths.items()}


@torch.no_grad()
def set_state(module: nn.Module, paths: Mapping[str, str], values: Mapping[str, NDArray[Any]]) -> None:
    """Give parameters and buffers new values, rounded to their types; names that the model does not have are left out.

    Args:
        module: the converted model.
        paths: where its parameters and buffers are, by ONNX name.
        values: new values by ONNX name, each of the shape of what it is for.
    """
    tensors = state(module, paths)
    for name in tensors.keys() & values.keys():
        tensors[name].copy_(to_tensor(ir.tensor(values[name])))
