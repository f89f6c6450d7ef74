"""Random inputs for a model whose data is not at hand."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.errors import ModelError

_NOT_NUMBERS = (None, ir.DataType.UNDEFINED, ir.DataType.STRING)


def random_inputs(
    model: ir.Model, *, batch: int = 1, sizes: Mapping[tuple[str, int], int] | None = None, seed: int = 0
) -> dict[str, NDArray[Any]]:
    """One array for every input without a default: standard normals, or 0 and 1 for integers.

    Args:
        model: the model.
        batch: size of every dimension that is not a number.
        sizes: sizes of such dimensions that have another one, by input and axis.
        seed: of numpy's generator.

    Raises:
        ModelError: an input is not a tensor of numbers, or its rank is not known.
    """
    generator = np.random.default_rng(seed)
    feeds = {}
    for value in model.graph.inputs:
        if value.is_initializer():
            continue
        if value.shape is None or value.dtype in _NOT_NUMBERS:
            raise ModelError(f"cannot make up input {value.name!r}: {value.type}", hint="give real inputs with --data")
        name = value.name or ""
        shape = [
            d if isinstance(d, int) and d >= 0 else (sizes or {}).get((name, axis), batch)
            for axis, d in enumerate(value.shape)
        ]
        dtype = value.dtype.numpy()
        draw = generator.standard_normal(shape) if value.dtype.is_floating_point() else generator.integers(0, 2, shape)
        feeds[name] = np.asarray(draw).astype(dtype)
    return feeds
