"""Building C++ in the tests, with the cmake of the virtual environment or of the system."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CMAKE = shutil.which("cmake", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
ORT_INCLUDE = os.environ.get("NMTOOL_ORT_INCLUDE")

needs_cmake = pytest.mark.skipif(CMAKE is None, reason="needs cmake")
needs_official_header = pytest.mark.skipif(
    ORT_INCLUDE is None, reason="NMTOOL_ORT_INCLUDE names no folder with onnxruntime_c_api.h"
)


def cmake(*args: object) -> None:
    """Run cmake; its output is the message of a failure."""
    assert CMAKE is not None
    result = subprocess.run([CMAKE, *map(str, args)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
