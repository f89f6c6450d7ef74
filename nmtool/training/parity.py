"""The gate before a trained model is put in place: the file computes what torch computed."""

import copy
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmtool import backends
from nmtool.difference import allowed_difference, difference, is_floating
from nmtool.errors import CheckError, NmtoolError
from nmtool.interpreter.convert import NAMES, convert
from nmtool.interpreter.precision import widen
from nmtool.model import ModelSource, load
from nmtool.training.arrays import set_state, state, to_numpy, to_tensors
from nmtool.training.divergence import first_divergence
from nmtool.training.feeds import paired
from nmtool.training.student import Student

Module: TypeAlias = Callable[..., tuple[Tensor, ...]]


def gate(
    student: Student,
    source: ModelSource,
    feeds: Mapping[str, NDArray[Any]],
    *,
    tolerance: float | None = None,
) -> Callable[[Path], None]:
    """The `verify` of a re-import: `check_parity` of the student as it is now, without noise, on a CPU.

    A GPU would round products to fewer bits than the check allows. On hardware that changes the model even without
    noise (steps, drift), it is the clean model with the student's weights.

    Args:
        student: the student, which is not changed.
        source: the clean model that it was made from.
        feeds: a batch to compare on: arrays for the inputs without a default, by name.
        tolerance: see `check_parity`.
    """
    checked = copy.deepcopy(student).cpu().eval()
    weights = {name: to_numpy(tensor) for name, tensor in state(checked.graph, checked.names).items()}

    def without_noise(*inputs: Tensor) -> tuple[Tensor, ...]:
        return checked(*inputs, torch.tensor(0), torch.tensor(0.0))

    clean = without_noise if student.is_clean_without_noise else _clean(source, weights)
    return partial(check_parity, clean, feeds=feeds, source=source, weights=weights, tolerance=tolerance)


def _clean(source: ModelSource, weights: Mapping[str, NDArray[Any]]) -> Module:
    """The clean model with other weights."""
    module = convert(widen(load(source))).eval()
    set_state(module, module.meta[NAMES], weights)

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = module(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    return run


def check_parity(
    module: Module,
    written: Path,
    feeds: Mapping[str, NDArray[Any]],
    *,
    source: ModelSource,
    weights: Mapping[str, NDArray[Any]],
    tolerance: float | None = None,
) -> None:
    """Compare what torch computes with what ONNX Runtime computes from the written file.

    Integer and boolean outputs count only where there are no others: rounding alone can move an argmax.

    Args:
        module: takes the inputs without a default in the model's order, those of half precision in float32, and
            returns its outputs, which others may follow; in evaluation mode, without noise, on the CPU.
        written: the file.
        feeds: arrays for these inputs, by name.
        source: the clean model, for finding the node that differs.
        weights: the weights that `module` has and `source` has not, by ONNX name, for the same.
        tolerance: largest difference of an output, relative to its largest value; None: 1e-4, or 2e-2 where the file
            has half precision or quantized values.

    Raises:
        CheckError: an output differs by more than that; it names the first node that does.
        ModelError: the runtime does not run the file.
    """
    runner = backends.load(written, optimization="basic", library=False)
    wide, exact = paired(runner, feeds)
    with torch.no_grad():
        have = [to_numpy(result) for result in module(*to_tensors(wide, wide))]
    want = runner.run(runner.outputs, exact)
    real = [index for index, array in enumerate(want) if is_floating(array)]
    differences = {runner.outputs[k]: difference(have[k], want[k]) for k in real or range(len(want))}
    worst = max(differences, key=lambda name: differences[name])
    allowed = allowed_difference(onnx.load(written, load_external_data=False)) if tolerance is None else tolerance
    if differences[worst] > allowed:
        raise CheckError(
            f"the written model does not compute what torch does: output {worst!r} differs by "
            f"{differences[worst]:.2g} of its largest value, more than {allowed:g}; "
            f"the first node that differs: {_culprit(source, weights, written, feeds, allowed)}",
            hint="no file was written; give the node's operator a function of your own with register_op, or report it",
        )


def _culprit(
    source: ModelSource,
    weights: Mapping[str, NDArray[Any]],
    written: Path,
    feeds: Mapping[str, NDArray[Any]],
    allowed: float,
) -> str:
    try:
        found = first_divergence(source, weights, written, feeds, allowed)
    except NmtoolError as error:
        return f"unknown ({error.message})"
    return "none, without noise" if found is None else str(found)
