"""Files appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nmtool.errors import UsageError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A place to write the file `path` to; it is moved there when the block ends, and dropped when it fails.

    Raises:
        UsageError: the folder does not exist, or nothing can be written there.
    """
    try:
        with TemporaryDirectory(dir=path.parent, prefix=".nmtool-") as folder:
            staged = Path(folder) / path.name
            yield staged
            staged.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
