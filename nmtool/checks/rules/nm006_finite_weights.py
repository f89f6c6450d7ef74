"""Stored weights are numbers.

No floating-point array holds NaN or infinity: one is enough to make outputs NaN, and it is what an overflow on the way
to half precision leaves. And not more than one in a hundred of an array's values is denormal (below 1.2e-38 in float32,
6.1e-5 in float16): these lose digits, are flushed to zero on some devices and are slow on others, and come from a scale
that was applied twice or a network that has died.

To fix: look at the training run, or at the conversion that wrote the array; keep it in a wider type.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.checks.finding import Finding, error, warning
from nmtool.checks.rules.nm003_external_data import problems
from nmtool.checks.subject import Subject
from nmtool.passes.constants import FLOATS
from nmtool.payloads import blocks, stored_arrays

_DENORMAL_SHARE = 0.01
_SMALLEST = {  # normal numbers
    ir.DataType.FLOAT: 2.0**-126,
    ir.DataType.DOUBLE: 2.0**-1022,
    ir.DataType.FLOAT16: 2.0**-14,
    ir.DataType.BFLOAT16: 2.0**-126,
}


def check(subject: Subject) -> Iterator[Finding]:
    """Look at every stored array of floating-point numbers."""
    if any(problems(subject)):
        return  # NM003
    for name, tensor in stored_arrays(subject.proto):
        if tensor.data_type in FLOATS:
            yield from _findings(name, tensor, subject)


def _findings(name: str, tensor: onnx.TensorProto, subject: Subject) -> Iterator[Finding]:
    values = np.asarray(ir.serde.deserialize_tensor(tensor, str(subject.folder)).numpy())
    kind = ir.DataType(tensor.data_type)
    bad, tiny = _counts(values, _SMALLEST[kind])
    if bad:
        message = f"array {name!r} ({kind.name.lower()}) has {bad} of {values.size} that are NaN or infinite"
        yield error(message, "train again")
    elif tiny > _DENORMAL_SHARE * values.size:
        message = f"{tiny / values.size:.0%} of array {name!r} ({kind.name.lower()}) is denormal"
        yield warning(message, "look at how it was scaled, or prune it")


def _counts(values: NDArray[Any], smallest: float) -> tuple[int, int]:
    """How many are not finite, and how many denormal: from their bits, since float16 is slow to compute with."""
    bits = np.dtype(f"u{values.itemsize}")
    limits = np.array([np.inf, smallest], values.dtype).view(bits) << 1  # without the sign
    bad = tiny = 0
    for block in blocks(values):
        sizes = block.view(bits) << 1
        bad += int(np.count_nonzero(sizes >= limits[0]))
        tiny += int(np.count_nonzero(sizes < limits[1])) - int(np.count_nonzero(sizes == 0))
    return bad, tiny
