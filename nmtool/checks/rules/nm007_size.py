"""The file is small enough to be read.

Protocol buffers end at 2 GiB, so an ONNX file with more in it cannot be parsed by anything, and tools that copy a
message need some room. Larger weights belong into external data.

To fix: save the model with external data, as `nmtool inject` does by itself, or
`onnx.save(model, path, save_as_external_data=True)`.
"""

from collections.abc import Iterator

from nmtool.checks.finding import Finding, error, note, warning
from nmtool.checks.subject import Subject

_LIMIT = 1 << 31
_FIX = "save it with external data: onnx.save(model, path, save_as_external_data=True)"


def check(subject: Subject) -> Iterator[Finding]:
    """Compare the message's size with the limit."""
    size = subject.proto.ByteSize()
    if size >= _LIMIT:
        yield error(f"the message has {size:,} bytes, protobuf ends at {_LIMIT:,}", _FIX)
    elif size > 0.9 * _LIMIT:
        yield warning(f"the message has {size:,} bytes, close to protobuf's end at {_LIMIT:,}", _FIX)
    else:
        yield note(f"the message has {size:,} bytes", bytes=size)
