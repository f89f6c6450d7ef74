"""The stored noise parameters are those of the declared noise.

The record of an injection (metadata `nmtool.provenance`) names a noise model and its strength. This rule takes the
noise out of the model, puts the declared noise in again, and compares what is stored for every noisy array: the kind of
noise (Gaussian, lognormal, stuck faults), and each of its parameters, for the whole array or for each output channel.
Standard deviations are in the units of the weights; for the Gaussian model they are eta times the range of the weights
(Zhou et al. 2020, arXiv:2001.04974), its maximum or its standard deviation. They must be equal up to the rounding
of float32.

They differ where the weights were changed after the injection (trained, pruned, quantized), so that the noise is sized
for weights that are no longer there, and where parameters or the record were edited. Every figure measured on
such a model belongs to another strength than the one it is reported with.

To fix: change the weights in the source model, and inject the noise again with `nmtool inject`.
"""

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from nmtool.checks.declared import calls, parameter_inputs
from nmtool.checks.finding import NO_NOISE, Finding, error, note
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError
from nmtool.ops import DOMAIN
from nmtool.passes.constants import ConstantFinder
from nmtool.passes.graphs import label
from nmtool.passes.inject_noise import opset_of

_ROUNDING = 2.0**-22  # relative: two units in the last place of float32
_FIX = "inject the noise again, into the source model with its present weights"


def check(subject: Subject) -> Iterator[Finding]:
    """Compare with the declared noise, parameter by parameter."""
    if subject.noisy is None:
        yield NO_NOISE
        return
    noisy, record = subject.made_noisy
    try:
        declared = subject.declared
    except ModelError as failure:
        yield error(f"the declared noise cannot be told: {failure.message}", failure.hint or _FIX)
        return
    finder, target = ConstantFinder(noisy, opset_of(noisy)), ConstantFinder(declared.model, opset_of(declared.model))
    have, want = calls(noisy), calls(declared.model)
    compared = 0
    for place in dict.fromkeys([*have, *want]):
        if place not in have or place not in want:
            where = "the model" if place in have else "the declared noise"
            yield error(f"noise at {place!r} is only in {where}", _FIX, place=place)
            continue
        node, model = have[place].node, want[place].node
        name = declared.name(model)
        if node.op_type != model.op_type or len(node.inputs) != len(model.inputs):
            kinds = f"node {label(node)!r} is a {node.op_type}, the declared noise makes it a {model.op_type}"
            yield error(kinds, _FIX, node=label(node), array=name)
            continue
        for index in parameter_inputs(declared.model, model):
            compared += 1
            expected = target.tensor(_given(model, index)).numpy()
            yield from _compare(finder, node, index, np.asarray(expected, np.float64), name)
    yield from _functions(noisy, declared.model)
    arrays = len({declared.name(site.node) for site in want.values()})
    noise = ", ".join(f"{key} {value}" for key, value in record.noise.items() if not isinstance(value, dict | list))
    yield note(f"{compared} parameters of {arrays} arrays are compared with the declared noise: {noise}")


def _functions(have: ir.Model, want: ir.Model) -> Iterator[Finding]:
    """The functions of cells and crossbars, in which the parameters of hardware are."""
    stored = {key: function for key, function in have.functions.items() if key[0] == DOMAIN}
    for key, function in want.functions.items():
        if key[0] != DOMAIN or key not in stored:
            continue
        if ir.to_proto(stored[key]) != ir.to_proto(function):
            message = f"function {function.name!r} is not what the declared noise makes it"
            yield error(message, _FIX, function=function.name)


def _compare(
    finder: ConstantFinder,
    node: ir.Node,
    index: int,
    want: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    array: str,
) -> Iterator[Finding]:
    """Compare one parameter of a node."""
    value = _given(node, index)
    facts = {"node": label(node), "array": array, "parameter": value.name}
    if not finder.is_constant(value):
        yield error(f"noise parameter {value.name!r} of array {array!r} is computed at run time", _FIX, **facts)
        return
    have = np.asarray(finder.tensor(value).numpy(), np.float64)
    if have.shape != want.shape:
        message = (
            f"noise parameter {value.name!r} of array {array!r} has shape {list(have.shape)}, not {list(want.shape)}"
        )
        yield error(message, _FIX, **facts)
        return
    off = ~(np.abs(have - want) <= _ROUNDING * np.abs(want))
    if off.any():
        worst = np.unravel_index(np.argmax(np.where(off, np.abs(have - want), 0)), want.shape)
        stored, declared = float(have[worst]), float(want[worst])
        ratio = f", {stored / declared:.4g} times as much" if declared else ""
        message = (
            f"noise parameter {value.name!r} of array {array!r} is {stored:.6g}, {declared:.6g} is declared{ratio}"
        )
        yield error(message, _FIX, **facts, stored=stored, declared=declared, differing=int(off.sum()))


def _given(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    if value is None:
        raise ModelError(f"node {label(node)!r} lacks its noise parameter {index}", hint=_FIX)
    return value
