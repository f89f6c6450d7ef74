"""Lowering changes no value, on every model of the zoo."""

import numpy as np
import onnx_ir as ir
import pytest
from zoo import ZOO

import nmtool
from nmtool import provenance
from nmtool.probe import random_inputs

OPTIONS = {
    "gaussian": {},
    "per_channel": {"per_channel": True},
    "lognormal": {"noise": "lognormal"},
    "stuck": {"noise": "stuck"},
}
FORMS = ("matmul_right", "transpose", "conv_transpose_groups", "lstm", "qdq_channel", "tied_direct", "function_nested")
"""Models on which every option is tested: composites, primitives, layouts, functions."""


@pytest.mark.parametrize(("name", "option"), [(n, o) for n in ZOO for o in OPTIONS if o == "gaussian" or n in FORMS])
def test_values_are_those_of_the_portable_form(name, option):
    entry = ZOO[name]
    noisy = nmtool.inject(entry.proto, **{**entry.options, **OPTIONS[option]}).model
    record = provenance.read(noisy)
    assert record is not None
    feeds = random_inputs(ir.from_proto(entry.proto), batch=2) | {record.trial_input: np.array(3)}
    lowered, portable = (nmtool.session(noisy, lowering=lowering).run(None, feeds) for lowering in (True, False))
    for actual, expected in zip(lowered, portable, strict=True):
        if isinstance(expected, np.ndarray) and expected.dtype.kind == "f" and expected.size:
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * max(1e-30, np.abs(expected).max()))
        else:
            np.testing.assert_array_equal(actual, expected)
