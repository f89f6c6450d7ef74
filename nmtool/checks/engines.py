"""Which backends take part in a check, and what they are compared with."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import onnx_ir as ir

from nmtool import backends
from nmtool.backends import Array
from nmtool.checks.effort import effort
from nmtool.checks.finding import Finding, brief, not_checked
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError
from nmtool.model import ModelSource, initializer_tensors
from nmtool.verbs.noisy import NoisyRunner

Loader: TypeAlias = Callable[[ModelSource], NoisyRunner]

_MOST_MACS, _MOST_STEPS, _MOST_DRAWS = 2e9, 1e6, 1e7
"""Multiply-accumulates, steps of Python, and random numbers that the reference evaluator does in a few seconds."""
_MOST_IN_BODIES = 2e8
"""Random numbers that ONNX Runtime makes in standard operators in some seconds, and a few GB."""


def present(subject: Subject) -> list[str]:
    """The backends that take part: those of the request, or all, as far as they are installed."""
    return [name for name in _wanted(subject) if backends.availability(name).version is not None]


def absent(subject: Subject) -> Iterator[Finding]:
    """The backends that would take part if they were installed."""
    for name in _wanted(subject):
        found = backends.availability(name)
        if found.version is None:
            yield not_checked(f"{name}: {found.reason}", found.hint or "", backend=name)


def loader(subject: Subject, backend: str, **options: Any) -> Loader:
    """Loads models on a backend as the subject's own are, but without keeping them.

    Args:
        subject: has the operator libraries of the user's, and the device.
        backend: name of the backend.
        options: of the backend's own `load`.

    Returns:
        Loads a model; raises ModelError for noise of more weights than standard operators bear.
    """
    options = subject.options(backend) | options

    def load(model: ModelSource) -> NoisyRunner:
        if (
            options.get("library") is False
            and model is subject.noisy
            and (draws := _draws(subject.noisy)) > _MOST_IN_BODIES
        ):
            raise ModelError(
                f"noise of {draws:.2g} weights takes too much memory and time in standard operators",
                hint="check a model with fewer layers",
            )
        return NoisyRunner(backends.load(model, backend, **options))

    return load


def reproducible(loaded: NoisyRunner) -> bool:
    """Whether the noise of a loaded model is a function of the trial, with the values that are specified."""
    record = loaded.provenance
    return record is not None and loaded.takes_trial and (record.exact or loaded.runner.library)


@dataclass(frozen=True)
class Oracle:
    """What is right.

    Attributes:
        name: name and version of the runtime.
        reason: why it is not onnx's reference evaluator; "" where it is.
        load: loads other models on it.
        expected: the outputs for the subject's feeds by name, at trial 0 and scale 1.
    """

    name: str
    reason: str
    load: Loader
    expected: Mapping[str, Array]


def oracle(subject: Subject, variant: Literal["clean", "noisy"]) -> Oracle:
    """The reference evaluator of onnx or, where that is too slow or fails, ONNX Runtime without any optimizations.

    Without the operator library too, so that noise comes from standard operators.

    Raises:
        ModelError: neither runs the model, or there is no such variant.
    """
    model = subject.clean if variant == "clean" else subject.noisy
    if model is None:
        raise ModelError("the model has no noise", hint="inject some with --eta")
    reason = too_much(subject) or (_too_many_draws(model) if variant == "noisy" else "")
    if not reason:
        try:
            return _run(subject, loader(subject, "reference"), model, "")
        except ModelError as error:
            reason = brief(error.message)
    plain = loader(subject, "onnxruntime", optimization="none", library=False, device="cpu")
    return _run(subject, plain, model, reason)


def _run(subject: Subject, load: Loader, model: ir.Model, reason: str) -> Oracle:
    loaded = load(model)
    results = loaded.run(subject.outputs, subject.feeds, trial=0, scale=1.0)
    name = loaded.runner.description + (" without optimizations" if reason else "")
    return Oracle(name, reason, load, dict(zip(subject.outputs, results, strict=True)))


def too_much(subject: Subject) -> str:
    """Why the reference evaluator would take too long on the subject's feeds, or ""."""
    needed = effort(subject.clean, {name: array.shape for name, array in subject.feeds.items()})
    if needed.macs > _MOST_MACS:
        return f"{needed.macs:.2g} multiply-accumulates are too many for the reference evaluator"
    if needed.steps > _MOST_STEPS:
        return f"{needed.steps:.2g} elements of {needed.slowest} are too many for the reference evaluator"
    return ""


def _too_many_draws(model: ir.Model) -> str:
    draws = _draws(model)
    return f"noise of {draws:.2g} weights is too much for the reference evaluator" if draws > _MOST_DRAWS else ""


def _draws(model: ir.Model) -> int:
    return sum(tensor.size for tensor in initializer_tensors(model))


def _wanted(subject: Subject) -> list[str]:
    """Names of backends; where there is a device, ONNX Runtime is on that one alone."""
    if subject.request.backends is not None:
        return list(subject.request.backends)
    return [name for name in backends.names() if subject.request.device == "auto" or name != "onnxruntime-cuda"]
