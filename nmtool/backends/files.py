"""Models as runtimes want them: bytes when they are small, a file when they have or need external data."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnx_ir as ir

from nmtool.errors import ModelError
from nmtool.model import ModelSource, external_tensors, initializer_tensors, load, save, to_proto

_IN_MEMORY_LIMIT = 1 << 30  # bytes; protobuf itself ends at 2 GiB


@contextmanager
def path_or_bytes(model: ModelSource) -> Iterator[str | bytes]:
    """The model as a path (its own, or that of a temporary file with external data) or as serialized bytes.

    A temporary file is gone when the context ends: the runtime must have read, or mapped, the model by then.

    Raises:
        ModelError: the file does not exist.
    """
    if isinstance(model, (str, PathLike)):
        path = Path(model)
        if not path.is_file():
            raise ModelError(f"no such model file: {path}")
        yield str(path)
        return
    if isinstance(model, onnx.ModelProto):
        if model.ByteSize() < _IN_MEMORY_LIMIT:
            yield model.SerializeToString()
            return
        model = load(model)
    if _fits_in_memory(model):
        yield to_proto(model).SerializeToString()
        return
    with on_disk(model) as file:
        yield str(file)


@contextmanager
def on_disk(model: ir.Model) -> Iterator[Path]:
    """The model as a temporary file, alone in its folder but for its external data."""
    with TemporaryDirectory(prefix="nmtool-") as folder:
        file = Path(folder) / "model.onnx"
        save(model, file)
        yield file


def _fits_in_memory(model: ir.Model) -> bool:
    size = sum(tensor.nbytes for tensor in initializer_tensors(model))
    return not external_tensors(model) and size < _IN_MEMORY_LIMIT
