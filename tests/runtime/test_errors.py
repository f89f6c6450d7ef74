"""What a user sees when an input, an attribute or the environment is wrong."""

import os
import subprocess
import sys

import numpy as np
import pytest

from nmtool.library import library_path
from nmtool.noise.reference import Source

SOURCE = Source(seed=1, stream=2)
X = np.zeros((2, 3), np.float32)


def ones(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("op", "parameters", "keywords", "message"),
    [
        ("GaussianNoise", {"std": ones(2)}, {}, r"GaussianNoise: std of shape \[2\] .* x of shape \[2,3\]"),
        ("GaussianNoise", {"std": ones(2, 2, 3)}, {}, r"std of shape \[2,2,3\] .* x of shape \[2,3\]"),
        ("GaussianNoise", {"std": ones(0)}, {}, r"std of shape \[0\] .* x of shape \[2,3\]"),
        ("LognormalNoise", {"mean": ones(4), "std": ones()}, {}, r"LognormalNoise: mean of shape \[4\]"),
        ("StuckFaults", {"probabilities": ones(2), "values": ones(1)}, {}, r"shape \[2\] and values of shape \[1\]"),
        ("GaussianNoise", {"std": ones()}, {"trial": np.zeros(2, np.int64)}, r"trial has shape \[2\], expected one"),
        ("GaussianNoise", {"std": ones()}, {"scale": ones(0)}, r"scale has shape \[0\], expected one"),
        ("GaussianNoise", {"std": ones()}, {"stream": 2**56}, r"stream is 72057594037927936, expected"),
        ("GaussianNoise", {"std": ones()}, {"stream": -1}, r"stream is -1, expected"),
        ("GaussianNoise", {"std": ones()}, {"draw": 256}, r"draw is 256, expected 0 <= draw < 2\^8"),
    ],
)
def test_message_names_what_is_wrong(run_op, op, parameters, keywords, message):
    with pytest.raises(Exception, match=message):
        run_op(op, X, parameters, SOURCE, **keywords)


def test_integers_are_refused(run_op):
    with pytest.raises(Exception, match=r"GaussianNoise: x has element type 6, expected float32"):
        run_op("GaussianNoise", X.astype(np.int32), {"std": ones()}, SOURCE)


REGISTER = """
import sys, onnxruntime
onnxruntime.SessionOptions().register_custom_ops_library(sys.argv[1])
"""


def register(simd):
    environment = {**os.environ, "NMTOOL_SIMD": simd}
    command = [sys.executable, "-c", REGISTER, str(library_path())]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_simd_override(level):
    assert register(level).returncode == 0


def test_wrong_simd_override_is_refused_at_registration(library):
    result = register("sse9")
    assert result.returncode != 0
    assert f"NMTOOL_SIMD is 'sse9'; this CPU supports {','.join(library.levels)}" in result.stderr
