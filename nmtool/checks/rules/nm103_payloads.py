"""Only weights have other values than in the original, and a record says why.

Training and baking change floating-point arrays. Integers (shapes, axes, indices, codes) never change. A model that
claims the original as the source of its noise has the original's values; others that differ carry a record of what
made them, written by distill or calibrate-bn.

The arrays that changed are listed with the norms of their values and of the difference.

To fix: repeat the step that made the model from the original. A model of another tool, or one chip made by `nmtool
bake`, has no record: look at the list of what changed.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool import provenance
from nmtool.checks.finding import Finding, error, note, warning
from nmtool.checks.structure import NO_ORIGINAL, pair
from nmtool.checks.subject import Subject
from nmtool.model import digest
from nmtool.passes.constants import FLOATS
from nmtool.payloads import blocks

_FIX = "repeat the step that made the model from the original"


def check(subject: Subject) -> Iterator[Finding]:
    """Compare the values of all arrays."""
    both = pair(subject)
    against = subject.request.against
    if both is None or against is None:
        yield NO_ORIGINAL
        return
    changed: list[dict[str, Any]] = []
    for name, tensor, source in both.arrays:
        if (tensor.data_type, tensor.dims) != (source.data_type, source.dims):
            continue  # NM102
        ours, original = _values(tensor, both.folder), _values(source, both.original_folder)
        if _equal(ours, original):
            continue
        if tensor.data_type not in FLOATS:
            yield error(f"array {name!r}, of integers or the like, has other values than in the original", _FIX)
        else:
            changed.append({"array": name, "norm": _norm(original), "change": _norm(original, ours)})
    if not changed:
        yield note(f"all {len(both.arrays)} arrays have the values of the original")
        return
    yield note(_listed(changed), changed=changed)
    names = ", ".join(each["array"] for each in changed[:3]) + (", …" if len(changed) > 3 else "")
    if subject.record is not None and subject.record.source_sha256 == digest(against):
        yield error(f"values differ from the original that the noise was put on: {names}", _FIX)
    elif provenance.read_weights(subject.model) is None:
        yield warning(f"values differ from the original, and no record says why: {names}", _FIX)


def _listed(changed: list[dict[str, Any]]) -> str:
    largest = max(changed, key=lambda each: each["change"] / (each["norm"] or 1))
    share = largest["change"] / (largest["norm"] or 1)
    return f"{len(changed)} arrays have other values; most has {largest['array']!r}, by {share:.2g} of its norm"


def _values(tensor: onnx.TensorProto, folder: Path) -> NDArray[Any]:
    return np.asarray(ir.serde.deserialize_tensor(tensor, str(folder)).numpy())


def _equal(ours: NDArray[Any], original: NDArray[Any]) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(blocks(ours), blocks(original), strict=True))


def _norm(original: NDArray[Any], ours: NDArray[Any] | None = None) -> float:
    """Of an array, or of what another differs by."""
    parts = (block.astype(np.float64) for block in blocks(original))
    if ours is not None:
        parts = (block.astype(np.float64) - part for block, part in zip(blocks(ours), parts, strict=True))
    return math.sqrt(sum(float(np.vdot(part, part)) for part in parts))
