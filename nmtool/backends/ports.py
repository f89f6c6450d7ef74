"""The inputs that a model declares."""

import onnx_ir as ir

from nmtool.backends import Port


def batched_ports(model: ir.Model) -> list[Port]:
    """The inputs without a default, in order, with any size of the batch, also where the model has a fixed one."""
    ports = []
    for value in model.graph.inputs:
        if value.is_initializer():
            continue
        dims = [d if isinstance(d, int) and d >= 0 else None for d in value.shape or ()]
        shape = None if value.shape is None else (None, *dims[1:]) if dims else ()
        ports.append(Port(value.name or "", value.dtype.numpy() if value.dtype else None, shape))
    return ports
