"""The C++ side by itself: builds without a warning, passes its known answers, agrees with the official ABI header."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from building import ORT_INCLUDE, cmake, needs_cmake, needs_official_header

from nmtool.library import library_path

RUNTIME = Path(__file__).parents[2] / "runtime"

pytestmark = needs_cmake


def test_known_answers_in_cpp(tmp_path):
    cmake("-S", RUNTIME, "-B", tmp_path, "-DNMTOOL_WERROR=ON", "-DNMTOOL_TESTS=ON", "-DNMTOOL_CUDA=OFF")
    cmake("--build", tmp_path, "--parallel")
    result = subprocess.run([tmp_path / "kat_test", RUNTIME.parent / "tests" / "data"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "portable: 3 counters, 50 elements" in result.stdout


@needs_official_header
def test_abi_is_the_official_one(tmp_path):
    cmake("-S", RUNTIME, "-B", tmp_path, f"-DNMTOOL_ORT_INCLUDE={ORT_INCLUDE}", "-DNMTOOL_CUDA=OFF")
    cmake("--build", tmp_path, "--target", "ort_abi_check")


@pytest.mark.skipif(shutil.which("nm") is None or sys.platform != "linux", reason="needs nm and ELF")
def test_only_the_documented_symbols_are_exported():
    listing = subprocess.run(["nm", "-D", "--defined-only", library_path()], capture_output=True, text=True, check=True)
    header = (RUNTIME / "nmtool_ops.h").read_text()
    symbols = [line.split()[-1] for line in listing.stdout.splitlines()]
    assert "RegisterCustomOps" in symbols
    assert [symbol for symbol in symbols if f"{symbol}(" not in header] == []
