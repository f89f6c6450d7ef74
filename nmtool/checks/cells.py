"""Arrays held in cells: what the file's functions make of them, against what the record says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.checks.declared import Declared, calls
from nmtool.errors import ModelError
from nmtool.ops import RUN, SCALE, TIME, TRIAL
from nmtool.passes.cells import cells_sampler
from nmtool.passes.constants import ConstantFinder
from nmtool.passes.inject_noise import opset_of
from nmtool.passes.noisy_nodes import is_cells

_INPUTS: dict[str, NDArray[Any]] = {
    TRIAL: np.array(1, np.int64),
    RUN: np.array(2, np.int64),
    SCALE: np.array(1, np.float32),
    TIME: np.array(86400, np.float32),
}
_ROUNDING = 1e-5  # relative to the largest weight: two ways to compute the same in float32


@dataclass(frozen=True)
class HeldArray:
    """An array held in cells.

    Attributes:
        node: the node that holds it.
        name: of the array.
        sigma: root-mean-square error of a weight in one sample, in weight units.
        declared: the same by the record.
        difference: largest difference between the two samples, relative to the largest weight.
    """

    node: ir.Node
    name: str
    sigma: float
    declared: float
    difference: float

    @property
    def agrees(self) -> bool:
        """Whether both are the same but for rounding."""
        return self.difference <= _ROUNDING


def held_arrays(noisy: ir.Model, declared: Declared) -> Iterator[HeldArray]:
    """Every array that is held in cells, in one sample, by the file and by its record.

    Raises:
        ModelError: a function cannot be run.
    """
    finder, expected = ConstantFinder(noisy, opset_of(noisy)), calls(declared.model)
    for place, site in calls(noisy).items():
        node, array = site.node, site.node.inputs[0]
        found = None if array is None or not is_cells(node) else finder.find(array)
        if found is None or place not in expected:
            continue
        weights = np.asarray(found.tensor.numpy())
        try:
            samples = [
                cells_sampler(model, each, _INPUTS)(weights).astype(np.float64) - weights
                for model, each in ((noisy, node), (declared.model, expected[place].node))
            ]
        except Exception as error:  # the evaluator raises whatever numpy does
            raise ModelError(f"the cells of array {found.name!r} cannot be computed: {error}") from error
        sigma, by_record = (float(np.sqrt(np.mean(np.square(sample)))) for sample in samples)
        largest = float(np.abs(weights).max(initial=0.0)) or 1.0
        yield HeldArray(node, found.name, sigma, by_record, float(np.abs(samples[0] - samples[1]).max()) / largest)
