"""The same inputs give the same outputs.

The model is run twice in one session and once in a new one, on the same inputs: its outputs must be the same to the
bit. A model with noise must give the same outputs for the same trial, and other ones for another trial.

Operators that draw random numbers by themselves (RandomNormal, Multinomial, Dropout in training mode, ...) are named.
Mostly the model was exported in training mode. A model whose outputs vary cannot be tested, cached or debugged, and
noise that nmtool did not inject is in no report. Noise that does not vary with the trial is no noise.

To fix: export the model in evaluation mode (`model.eval()` in torch); sample outside of the model; where only the last
bits vary, choose deterministic kernels of the runtime.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import onnx_ir as ir

from nmtool.backends import Array
from nmtool.checks.bisection import Run, first_node
from nmtool.checks.comparison import compare, worst
from nmtool.checks.engines import loader, reproducible
from nmtool.checks.finding import Finding, error, not_checked, note, warning
from nmtool.checks.subject import Subject
from nmtool.difference import allowed_difference, is_floating
from nmtool.passes.constants import stored_tensor
from nmtool.passes.graphs import label, sites

_RANDOM = {
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
    *("Multinomial", "Bernoulli"),
}
_EXPORT = "export the model in evaluation mode, or sample outside of it"


def check(subject: Subject) -> Iterator[Finding]:
    """Look for random operators, and run the model several times."""
    random = [site.node for site in sites(subject.clean) if _is_random(site.node)]
    for node in random:
        yield error(f"node {label(node)} ({node.op_type}) draws random numbers", _EXPORT, node=label(node))
    if not random:
        yield from _repeated(subject, "clean")
    if subject.noisy is not None:
        yield from _noise(subject)


def _noise(subject: Subject) -> Iterator[Finding]:
    loaded = subject.on("onnxruntime", "noisy")
    first = loaded.run(subject.outputs, subject.feeds, trial=0, scale=1.0)
    if loaded.takes_trial:
        others = [loaded.run(subject.outputs, subject.feeds, trial=trial, scale=1.0) for trial in (1, 2)]
        what = "trials 0, 1 and 2 give the same outputs"
    else:
        others = [loaded.run(subject.outputs, subject.feeds, trial=0, scale=1.0)]
        what = "two runs give the same outputs, though the noise is fresh at every run"
    if any(map(is_floating, first)) and all(_same(first, other) for other in others):
        yield error(f"{what}: the noise does nothing", "inject the source model again, with an eta above 0")
    if reproducible(loaded):
        yield from _repeated(subject, "noisy")
    elif loaded.takes_trial:
        hint = "install nmtool's operator library (`nmtool doctor`), or inject with --opset 18"
        yield not_checked("the noise has values of the runtime's own below opset 18", hint)


def _repeated(subject: Subject, variant: Literal["clean", "noisy"]) -> Iterator[Finding]:
    load = loader(subject, "onnxruntime")
    model = subject.clean if variant == "clean" else subject.noisy
    assert model is not None
    one = subject.on("onnxruntime", variant)
    runs = [session.run(subject.outputs, subject.feeds, trial=0, scale=1.0) for session in (one, one, load(model))]
    name = "the model" if variant == "clean" else "the noisy model at one trial"
    for other, where in zip(runs[1:], ("in one session", "in a new session"), strict=True):
        if _same(runs[0], other):
            continue
        most = worst(compare(subject.outputs, other, runs[0]))
        if most.relative <= allowed_difference(subject.proto):
            hint = "choose deterministic kernels of the runtime, or one thread"
            yield warning(f"{name} gives other last bits {where}: {most}", hint, **most.facts())
            return
        run = Run(load, model)
        clause, node = first_node(run, run, subject.feeds, [most.output], allowed_difference(subject.proto))
        yield error(f"{name} gives other outputs {where}: {most}; {clause}", _EXPORT, node=node, **most.facts())
        return
    yield note(f"{name} gives the same outputs to the bit, in one session and in a new one")


def _same(first: Sequence[Array], second: Sequence[Array]) -> bool:
    return all(
        a.shape == b.shape and (np.array_equal(a, b) if a.dtype == object else a.tobytes() == b.tobytes())
        for a, b in zip(first, second, strict=True)
    )


def _is_random(node: ir.Node) -> bool:
    if node.domain:
        return False
    if node.op_type == "Dropout" and len(node.inputs) > 2 and node.inputs[2] is not None:
        training = stored_tensor(node.inputs[2])
        return training is not None and bool(training.numpy().all())
    return node.op_type in _RANDOM
