"""External data is there, inside the model's folder, and long enough.

Each array that the file keeps elsewhere has a relative path without `..`, to a file that is no link, in the folder of
the model or below, which is at least as long as the array's offset and length say.

Runtimes refuse paths that lead out of the folder, because a model from elsewhere could read any file through them; and
a truncated data file gives wrong weights, or a crash at load time.

To fix: copy the data file beside the model again, or save the model anew with its data in the same folder.
"""

from collections.abc import Iterator

import onnx
import onnx_ir as ir

from nmtool.checks.finding import Finding, error
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError
from nmtool.payloads import tensors
from nmtool.soundness import require_data


def check(subject: Subject) -> Iterator[Finding]:
    """Look at every external tensor."""
    yield from problems(subject)


def problems(subject: Subject) -> Iterator[Finding]:
    """What is wrong with the external data."""
    for tensor in tensors(subject.proto):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        try:
            external = ir.serde.deserialize_tensor(tensor, str(subject.folder))
            assert isinstance(external, ir.ExternalTensor)
            require_data(external)
        except ModelError as failure:
            yield error(failure.message, failure.hint or "save the model again with its data file beside it")
        except (ValueError, TypeError, ir.serde.SerdeError) as failure:
            yield error(f"external data of {tensor.name!r} is malformed: {failure}", "save the model again")
