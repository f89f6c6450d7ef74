"""`nmtool compile` and `nmtool explain-session`: the form in which a session runs a noisy model here."""

import os
from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from nmtool import provenance
from nmtool.errors import ModelError
from nmtool.library import library_path
from nmtool.model import ModelSource, load
from nmtool.passes.lowering import Lowered, NodeForm, Sampling


def compile(
    model: ModelSource, *, sampling: Sampling = "weights", custom_ops: Sequence[str | os.PathLike[str]] = ()
) -> ir.Model:
    """Rewrite a noisy model for ONNX Runtime on this machine, as `nmtool.session` does whenever it opens one.

    For hosts in other languages, and to open large models faster. The result needs the operator library, this version
    of the runtime, and a processor with the same vector instructions; only the noisy model itself can be stripped,
    baked or checked.

    Args:
        model: a noisy model.
        sampling: what noise is drawn for, as in `nmtool.session`.
        custom_ops: operator libraries, for operators of the model's own.

    Raises:
        ModelError: the model cannot be read, is not noisy, or is compiled; or the runtime rejects it.
        SetupError: the operator library or the runtime is not installed.
    """
    from nmtool.backends.ort import machine

    compiled = _lowered(model, sampling, custom_ops).model
    provenance.write_compiled(compiled, machine())
    return compiled


def explain_session(
    model: ModelSource, *, sampling: Sampling = "weights", custom_ops: Sequence[str | os.PathLike[str]] = ()
) -> list[NodeForm]:
    """How a session computes the noise of each node on this machine, in graph order.

    Arguments and errors are those of `compile`.
    """
    return _lowered(model, sampling, custom_ops).forms


def _lowered(model: ModelSource, sampling: Sampling, custom_ops: Sequence[str | os.PathLike[str]]) -> Lowered:
    from nmtool.backends.ort import lowered_for_cpu

    libraries = [library_path(), *(Path(path).absolute() for path in custom_ops)]
    lowered = lowered_for_cpu(load(model), sampling, libraries)
    if lowered is None:
        raise ModelError("the model is not noisy: it has no record of an injection", hint="`nmtool inject` makes one")
    return lowered
