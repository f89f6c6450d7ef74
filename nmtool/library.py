"""Where the operator library is."""

import importlib.resources
import os
from pathlib import Path

from nmtool.errors import SetupError

_OVERRIDE = "NMTOOL_OPS_LIBRARY"
_NAMES = ("libnmtool_ops.so", "libnmtool_ops.dylib", "nmtool_ops.dll")


def library_path() -> Path:
    """Path of the ONNX Runtime custom-op library, for `register_custom_ops_library` of any host (Python, C, C#, Node).

    The environment variable NMTOOL_OPS_LIBRARY overrides it.

    Raises:
        SetupError: the library was not built, or the override names no file.
    """
    if override := os.environ.get(_OVERRIDE):
        if not Path(override).is_file():
            raise SetupError(f"{_OVERRIDE} names no file: {override}", hint=f"unset {_OVERRIDE} or build the library")
        return Path(override)
    for name in _NAMES:
        candidate = importlib.resources.files("nmtool._lib") / name
        if candidate.is_file():
            return Path(str(candidate))
    raise SetupError(
        "the operator library is not installed", hint="reinstall nmtool with a C++ compiler at hand: `pip install .`"
    )
