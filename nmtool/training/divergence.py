"""The first node at which a converted model and its ONNX file part."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from nmtool import backends, bisection
from nmtool.bisection import Divergence
from nmtool.interpreter.convert import NAMES, convert
from nmtool.interpreter.precision import widen
from nmtool.model import ModelSource, load
from nmtool.passes.expose import exposed, inlined
from nmtool.training.arrays import set_state, to_numpy, to_tensors
from nmtool.training.feeds import paired


def first_divergence(
    source: ModelSource,
    weights: Mapping[str, NDArray[Any]],
    written: Path,
    feeds: Mapping[str, NDArray[Any]],
    tolerance: float,
) -> Divergence | None:
    """Compare torch and ONNX Runtime on the outputs of nodes: see `nmtool.bisection`.

    Args:
        source: the clean model, which torch runs with the new weights.
        weights: the new weights by ONNX name.
        written: the same model with new weights, which ONNX Runtime runs.
        feeds: arrays for the inputs without a default, by name.
        tolerance: the difference that is allowed.

    Returns:
        Where the difference begins, or None where there is none.

    Raises:
        ModelError: one of the two cannot run with values inside as outputs.
    """
    ours, theirs = inlined(load(source)), inlined(load(written))

    def load_written(names: Sequence[str]) -> backends.Runner:
        return backends.load(exposed(theirs, names), optimization="basic", library=False)

    wide, exact = paired(load_written(()), feeds)

    def in_torch(names: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        model = exposed(ours, names)
        outputs = [value.name or "" for value in model.graph.outputs]
        module = convert(widen(model)).eval()
        set_state(module, module.meta[NAMES], weights)
        with torch.no_grad():
            results = module(*to_tensors(wide, wide))
        results = results if isinstance(results, tuple) else (results,)
        return {name: to_numpy(result) for name, result in zip(outputs, results, strict=True) if name in names}

    def in_onnxruntime(names: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        return dict(zip(names, load_written(names).run(names, exact), strict=True))

    outputs = [value.name or "" for value in ours.graph.outputs]
    return bisection.first_divergence(ours, outputs, in_torch, in_onnxruntime, tolerance)
