"""Arrays held in cells, computed outside a runtime."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnx_ir.passes.common import InlinePass

from nmtool.noise.base import PARAMETER_NAMES, Channels
from nmtool.noise.cell import Cell
from nmtool.noise.numpy_chip import NumpyChip
from nmtool.noise.reference import Source, gaussian_noise, stuck_faults
from nmtool.ops import DOMAIN

Sampler: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
"""Makes noisy weights of weights."""

_ELEMENTS = 1 << 16  # of larger arrays only the first rows are looked at


def sample_sigma(cell: Cell, tensor: ir.TensorProtocol, channels: Channels, time: float, seed: int) -> float:
    """Root-mean-square error of a weight held in cells, in weight units, measured on one sample.

    Args:
        cell: the cells.
        tensor: the weights; of large arrays the first rows are taken.
        channels: of the array.
        time: seconds since programming.
        seed: of the sample.
    """
    weights = np.asarray(tensor.numpy())
    rows = max(channels.groups, _ELEMENTS // max(1, math.prod(weights.shape[1:])))
    if channels.groups == 1:
        weights = weights[:rows]
    weights = weights.astype(np.float32)
    error = perturbed(cell, weights, channels, NumpyChip(seed, 0, scale=cell.eta, time=time)) - weights
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))


def perturbed(cell: Cell, weights: NDArray[np.float32], channels: Channels, chip: NumpyChip) -> NDArray[np.float32]:
    """The weights as a run sees them; see Cell.perturb, and `cell_function` for the same in ONNX."""
    given = weights.shape
    if channels.groups > 1:
        weights = weights.reshape(channels.groups, -1, *given[1:])
    return np.asarray(cell.perturb(weights, chip, channels.within(len(given))).reshape(given))


def cells_sampler(model: ir.Model, node: ir.Node, inputs: Mapping[str, NDArray[Any]]) -> Sampler:
    """What the cells make of the weights, by the function that the model itself defines.

    onnx's reference evaluator runs it, with the primitives in numpy (nmtool.noise.reference).

    Args:
        model: the noisy model.
        node: the call of the cells' function.
        inputs: values of the run-time inputs by kind.
    """
    function = model.functions[node.op_identifier()]
    ports = [ir.val(value.name or "") for value in function.inputs]
    names = [port.name or "" for port in ports]
    call = ir.Node(DOMAIN, node.op_type, ports, list(node.attributes.values()), outputs=[ir.val("noisy")])
    functions = [f.clone() for f in model.functions.values() if f.domain == DOMAIN and f.name not in PARAMETER_NAMES]
    graph = ir.Graph(ports, call.outputs, nodes=[call], opset_imports=dict(model.opset_imports), name="cells")
    alone = ir.Model(graph, ir_version=model.ir_version, functions=functions)
    InlinePass()(alone)
    alone.functions.clear()  # inside functions the evaluator would not know our operators
    evaluator = ReferenceEvaluator(ir.to_proto(alone), new_ops=[GaussianNoise, StuckFaults])
    feeds = {name: inputs[name] for name in names[1:]}
    return lambda weights: np.asarray(cast(Any, evaluator.run(None, {names[0]: weights, **feeds}))[0])


class GaussianNoise(OpRun):
    """The primitive for the reference evaluator."""

    op_domain = DOMAIN

    def _run(  # the attributes are those of the node
        self, x: Any, std: Any, trial: Any, scale: Any, seed: int, stream: int, draw: int, dtype: int
    ) -> tuple[NDArray[Any]]:
        return (gaussian_noise(x, std, Source(seed, stream, int(trial), draw), float(scale)),)


class StuckFaults(OpRun):
    """The primitive for the reference evaluator."""

    op_domain = DOMAIN

    def _run(
        self,
        x: Any,
        probabilities: Any,
        values: Any,
        trial: Any,
        scale: Any,
        seed: int,
        stream: int,
        draw: int,
        dtype: int,
    ) -> tuple[NDArray[Any]]:
        return (stuck_faults(x, probabilities, values, Source(seed, stream, int(trial), draw), float(scale)),)
