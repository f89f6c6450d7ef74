"""Where the operator library is, and what it can do here."""

import ctypes
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


def simd_levels() -> list[str]:
    """The instruction sets of this processor that the library has kernels for, the one that it uses last.

    Raises:
        SetupError: there is no library.
        OSError: it cannot be loaded.
    """
    library = ctypes.CDLL(str(library_path()))
    library.nmtool_simd_levels.restype = ctypes.c_char_p
    return str(library.nmtool_simd_levels().decode()).split(",")
