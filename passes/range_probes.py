"""Measuring what converters see: a model that gives the range of every calibrated converter, batch by batch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from nmtool.errors import ModelError
from nmtool.hardware import Hardware
from nmtool.hardware.periphery import Converter
from nmtool.ops import DOMAIN, VERSION
from nmtool.ops.converters import CONVERTERS
from nmtool.ops.crossbar import Crossbar, probe_function
from nmtool.ops.expression import Body, Expression
from nmtool.passes.coverage import Coverage
from nmtool.passes.crossbars import plan
from nmtool.passes.graphs import label
from nmtool.passes.inject_noise import opset_of
from nmtool.passes.noise_rewriter import FUNCTIONS_IR_VERSION

Side: TypeAlias = Literal["input_range", "output_range"]


@dataclass(frozen=True)
class Probed:
    """A product with a calibrated converter.

    Attributes:
        name: of the node.
        crossbar: what replaces it.
    """

    name: str
    crossbar: Crossbar

    def converter(self, side: Side) -> Converter | None:
        """Its converter on that side, where that is calibrated."""
        periphery = self.crossbar.periphery
        converter = periphery.input if side == "input_range" else periphery.output
        return converter if converter is not None and converter.range == "calibrated" else None


def probed_nodes(model: ir.Model, hardware: Hardware) -> list[Probed]:
    """The products of a model whose converters need ranges, in graph order.

    Raises:
        ModelError: one is inside a subgraph or a function, where nothing can be measured.
    """
    coverage = Coverage(model, hardware.layer.weights, False, opset_of(model))
    candidates = [candidate for candidate in coverage.candidates() if not candidate.digital]
    nodes = list(dict.fromkeys(candidate.site.node for candidate in candidates))
    found: list[Probed] = []
    for candidate in candidates:
        node = candidate.site.node
        name = label(node)
        crossbar = plan(candidate, hardware.of(name), coverage.inference).crossbar
        if crossbar is None or hardware.digital.reason(name, node.op_type, nodes.index(node), len(nodes)):
            continue
        probed = Probed(name, crossbar)
        if not (probed.converter("input_range") or probed.converter("output_range")):
            continue
        if candidate.site.graph is not model.graph:
            raise ModelError(
                f"node {name!r} is inside a subgraph or a function: the range of its converters cannot be measured",
                hint='give the hardware a number or "dynamic" as range for it',
            )
        found.append(probed)
    return found


def with_probes(
    model: ir.Model, nodes: list[Probed], side: Side, input_ranges: Mapping[str, float]
) -> tuple[ir.Model, dict[str, str]]:
    """A copy of the model with the ranges of one side as outputs, and the names of these by node.

    Args:
        model: the clean model.
        nodes: of it.
        side: which converters.
        input_ranges: of calibrated input converters, by node, which output converters are measured behind.
    """
    copy, opset = model.clone(), opset_of(model)
    by_name = {label(node): node for node in copy.graph}
    outputs: dict[str, str] = {}
    functions = [make(opset) for make in CONVERTERS.values()]
    for number, probed in enumerate(nodes):
        converter = probed.converter(side)
        if converter is None:
            continue
        node, crossbar = by_name[probed.name], probed.crossbar
        signal, axes = node.inputs[1 - crossbar.operand], ""
        if side == "output_range":
            function = probe_function(f"Probe{number}", crossbar, opset)
            given = list(node.inputs[:2])
            if len(function.inputs) > 2:
                tensor = ir.tensor(np.array(input_ranges[probed.name], np.float32), name=f"nmtool::range{number}")
                value = ir.val(f"nmtool::range{number}", const_value=tensor)
                copy.graph.register_initializer(value)
                given.append(value)
            call = ir.Node(DOMAIN, function.name, given, list(node.attributes.values()), name=f"nmtool/probe{number}")
            call.outputs[0].name = f"nmtool::parts{number}"
            copy.graph.append(call)
            functions.append(function)
            signal = call.outputs[0]
            axes = crossbar.axes if crossbar.has_parts else ""
        measure = _measure_function(f"Range{number}", converter, axes if converter.per_tile else "", opset)
        taken = ir.Node(DOMAIN, measure.name, [signal], name=f"nmtool/measure{number}")
        result = taken.outputs[0]
        result.name, result.dtype = f"nmtool::measured{number}", ir.DataType.FLOAT
        copy.graph.append(taken)
        copy.graph.outputs.append(result)
        functions.append(measure)
        outputs[probed.name] = result.name
    for function in functions:
        copy.functions[function.identifier()] = function
    copy.opset_imports[DOMAIN] = VERSION
    copy.ir_version = max(copy.ir_version, FUNCTIONS_IR_VERSION)
    return copy, outputs


def together(batches: Iterator[NDArray[np.float32]], converter: Converter) -> NDArray[np.float32]:
    """One range out of those of all batches: the largest, or for percentiles below 100 the mean."""
    stacked = np.stack(list(batches))
    return np.asarray(stacked.max(axis=0) if converter.percentile == 100 else stacked.mean(axis=0), np.float32)


def _measure_function(name: str, converter: Converter, axes: str, opset: int) -> ir.Function:
    """`name (x) => (range)`: the largest |x| or a percentile of it; of each tile where `axes` has letters."""
    body = Body(opset)
    x = body.op("Abs", body.op("Cast", body.input("x"), to=int(ir.DataType.FLOAT)))
    if axes:
        others = [k for k, letter in enumerate(axes) if letter not in "gts"]
        kept = body.reduce("ReduceMax", x, others, keepdims=False)
        letters = [letter for letter in axes if letter in "gts"]
        ordered = body.op("Transpose", kept, perm=[letters.index(letter) for letter in "gts"])
        return body.function(name, [body.op("Unsqueeze", ordered, body.ints(-1))])
    return body.function(name, [_percentile(body, x, converter.percentile)])


def _percentile(body: Body, x: Expression, percentile: float) -> Expression:
    """The smallest of the largest numbers that are (100 - percentile) % of all, at least one."""
    if percentile == 100:
        return body.reduce("ReduceMax", x, None, keepdims=False)
    flat = body.op("Reshape", x, body.ints(-1))
    count = body.op("Cast", body.op("Shape", flat), to=int(ir.DataType.FLOAT)) * (1 - percentile / 100)
    largest = body.op("Max", body.op("Cast", body.op("Ceil", count), to=int(ir.DataType.INT64)), body.ints(1))
    return body.reduce("ReduceMin", body.op("TopK", flat, largest, sorted=0, outputs=2), None, keepdims=False)
