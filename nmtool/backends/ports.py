"""The inputs that a model declares."""

import onnx_ir as ir

from nmtool.backends import Port


def ports(model: ir.Model, *, any_batch: bool = False) -> list[Port]:
    """The inputs without a default, in order.

    Args:
        model: the model.
        any_batch: leave the first dimension open also where the model has a number there.
    """
    found = []
    for value in model.graph.inputs:
        if value.is_initializer():
            continue
        dims: list[int | None] = [d if isinstance(d, int) and d >= 0 else None for d in value.shape or ()]
        if any_batch and dims:
            dims[0] = None
        shape = None if value.shape is None else tuple(dims)
        found.append(Port(value.name or "", value.dtype.numpy() if value.dtype else None, shape))
    return found
