"""Stored weights are numbers.

No floating-point array holds NaN or infinity: one is enough to make outputs NaN, and it is what an overflow on the way
to half precision leaves. And not more than one in a hundred of an array's values is denormal (below 1.2e-38 in float32,
6.1e-5 in float16): these lose digits, are flushed to zero on some devices and are slow on others, and come from a scale
that was applied twice or a network that has died.

To fix: look at the training run, or at the conversion that wrote the array; keep it in a wider type.
"""

from collections.abc import Iterator

import numpy as np
import onnx
import onnx_ir as ir

from nmtool.checks.finding import Finding, error, warning
from nmtool.checks.rules.nm003_external_data import problems
from nmtool.checks.subject import Subject
from nmtool.passes.constants import FLOATS
from nmtool.payloads import stored_arrays

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
    dtype = ir.DataType(tensor.data_type).name.lower()
    finite = np.isfinite(values)
    if bad := values.size - int(np.count_nonzero(finite)):
        yield error(f"array {name!r} ({dtype}) has {bad} of {values.size} that are NaN or infinite", "train again")
        return
    tiny = (values != 0) & (np.abs(values) < _SMALLEST[ir.DataType(tensor.data_type)])
    if values.size and (share := float(np.mean(tiny))) > _DENORMAL_SHARE:
        yield warning(f"{share:.0%} of array {name!r} ({dtype}) is denormal", "look at how it was scaled, or prune it")
