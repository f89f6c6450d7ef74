"""The inputs that a model declares."""

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from nmtool.backends.runner import Port


def ports(model: ir.Model, *, any_batch: bool = False) -> list[Port]:
    """The inputs without a default, in order.

    Args:
        model: the model.
        any_batch: leave the first dimension open also where the model has a number there.
    """
    found = [port for port in map(_port, model.graph.inputs) if not port.optional]
    if any_batch:
        found = [replace(port, shape=(None, *port.shape[1:])) if port.shape else port for port in found]
    return found


def all_ports(model: ir.Model) -> dict[str, Port]:
    """All inputs by name, those with defaults last."""
    found = [_port(value) for value in model.graph.inputs]
    return {port.name: port for port in sorted(found, key=lambda port: port.optional)}


def _port(value: ir.Value) -> Port:
    name, optional, dtype = value.name or "", value.is_initializer(), value.dtype
    if not isinstance(value.type, ir.TensorType) or dtype is None or dtype == ir.DataType.UNDEFINED:
        return Port(name, None, None, optional)
    shape = None if value.shape is None else tuple(_size(dim) for dim in value.shape)
    return Port(name, np.dtype(object) if dtype == ir.DataType.STRING else dtype.numpy(), shape, optional)


def _size(dimension: int | ir.SymbolicDim) -> int | None:
    """The dimension where it is fixed; some exporters write open ones as -1."""
    return dimension if isinstance(dimension, int) and dimension >= 0 else None
