"""Deciding, for every node, whether it maps to analog arrays: the plan that InjectNoise carries out."""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from nmtool.noise.base import NoiseModel
from nmtool.ops import DOMAIN
from nmtool.ops.analog import ANALOG_OPS, DIGITAL_OPS, EVERY_OPERAND
from nmtool.ops.composites import has_dynamic_form
from nmtool.passes.constants import FLOATS, LAYOUT_OPS, ConstantArray, ConstantFinder, stored_tensor
from nmtool.passes.function_weights import CallWeights, call_weights
from nmtool.passes.graphs import Site, graphs, label, sites
from nmtool.passes.report import NodeReport

NEGATIVE_AXES_OPSET = 11
"""The first opset whose Reduce operators take negative axes, which noise sized at run time needs."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """An operand that an analog array can hold.

    Attributes:
        site: the node and where it is.
        operand: which of its inputs.
        array: the constant array, or None for an activation that is written to an array at run time.
    """

    site: Site
    operand: int
    array: ConstantArray | None


Finding = Candidate | NodeReport
"""What is known of a node before selection: it can be noisy, or it is digital for a reason."""


class Coverage:
    """Finds the analog operands of a model, and the reasons of the nodes that have none."""

    def __init__(self, model: ir.Model, noise: NoiseModel, dynamic: bool, opset: int) -> None:
        """Look at `model` for `noise`; `dynamic` also takes products of two activations."""
        self.finder = ConstantFinder(opset)
        self._calls = call_weights(model)
        self._model = model
        self._no_dynamic = self._reason_against_dynamic(noise, dynamic, opset)

    def findings(self) -> Iterator[Finding]:
        """Candidates and digital nodes, in graph order."""
        for site in sites(self._model):
            if site.function is not None and site.function.domain == DOMAIN:
                continue
            key = (site.node.domain, site.node.op_type)
            if key in ANALOG_OPS:
                yield from self._operator(site, ANALOG_OPS[key].operands, key in EVERY_OPERAND)
            elif key in DIGITAL_OPS:
                yield from self._digital(site, DIGITAL_OPS[key])
            elif (call := self._calls.get(site.node.op_identifier())) is not None:
                yield from self._call(site, call)

    def other_weights(self, arrays: set[ir.Value]) -> tuple[int, dict[str, int]]:
        """Floating-point weights outside `arrays` (roots): how many, and by which operators how often used."""
        count, users = 0, dict[str, int]()
        for graph, path in graphs(self._model):
            if path.startswith(f"{DOMAIN}::"):
                continue
            constants = [node.outputs[0] for node in graph if node.op_type == "Constant"]
            for value in (*graph.initializers.values(), *constants):
                tensor = stored_tensor(value)
                if value in arrays or tensor is None or tensor.dtype not in FLOATS or tensor.size < 2:
                    continue
                count += tensor.size
                for op_type in sorted({node.op_type for node, _ in value.uses()}):
                    users[op_type] = users.get(op_type, 0) + 1
        return count, users

    def _operator(self, site: Site, operands: tuple[int, ...], every: bool) -> Iterator[Finding]:
        given = [k for k in operands if k < len(site.node.inputs) and site.node.inputs[k] is not None]
        found = [(k, array) for k in given if (array := self._find(site.node.inputs[k])) is not None]
        if not found:
            yield from self._no_constant(site)
        elif len(found) > 1 and not every:
            yield _report(site, "both operands are constant: it is folded before it reaches an array", found[0][1])
        else:
            for operand, array in found:
                yield _usable(site, operand, array)

    def _no_constant(self, site: Site) -> Iterator[Finding]:
        for value in site.node.inputs:
            parameter = _parameter(site, value)
            if parameter is not None and site.function is not None:
                call = self._calls.get(site.function.identifier(), CallWeights())
                if parameter in call.arrays:
                    return  # reported at the calls of the function
                if parameter in call.mixed:
                    name = site.function.inputs[parameter].name
                    yield _report(site, f"its weights are parameter {name!r} of the function, also used by {call.mixed[parameter]}")
                    return
        if (site.node.domain, site.node.op_type) == ("", "MatMul"):
            yield _report(site, self._no_dynamic) if self._no_dynamic else Candidate(site, 1, None)
        else:
            yield _report(site, "its weights are computed at run time")

    def _call(self, site: Site, call: CallWeights) -> Iterator[Finding]:
        for index, value in enumerate(site.node.inputs):
            array = self._find(value) if index in call.arrays or index in call.mixed else None
            if array is not None and index in call.arrays:
                yield _usable(site, index, array)
            elif array is not None:
                yield _report(site, f"inside the function, {call.mixed[index]} also uses the weights", array)

    def _digital(self, site: Site, reason: str) -> Iterator[Finding]:
        arrays = [array for value in site.node.inputs if (array := self._find(value)) and len(array.tensor.shape) > 1]
        if arrays or site.node.op_type != "Gather":
            yield _report(site, reason, arrays[0] if arrays else None)

    def _find(self, value: ir.Value | None) -> ConstantArray | None:
        return None if value is None else self.finder.find(value)

    @staticmethod
    def _reason_against_dynamic(noise: NoiseModel, dynamic: bool, opset: int) -> str | None:
        if not dynamic:
            return "product of two activations (--dynamic makes the right operand noisy)"
        if not has_dynamic_form(noise.stages()):
            return f"product of two activations: noise model `{noise.name}` needs the weights at injection"
        if opset < NEGATIVE_AXES_OPSET:
            return f"product of two activations: its range at run time needs opset {NEGATIVE_AXES_OPSET} (use --opset)"
        return None


def _usable(site: Site, operand: int, array: ConstantArray) -> Finding:
    if array.tensor.dtype not in FLOATS:
        return _report(site, f"its weights are {array.tensor.dtype.name}: noise needs floating point", array)
    if array.tensor.size == 0:
        return _report(site, "its array is empty", array)
    return Candidate(site, operand, array)


def _report(site: Site, reason: str, array: ConstantArray | None = None) -> NodeReport:
    report = NodeReport(label(site.node), op_label(site.node), "digital", reason)
    if array is not None:
        report.array = array.root.name or ""
        report.shape = tuple(int(d) for d in array.tensor.shape)
        report.weights = array.tensor.size
    return report


def op_label(node: ir.Node) -> str:
    """The operator as reports call it: the type, with the domain where it is not ai.onnx."""
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type


def _parameter(site: Site, value: ir.Value | None) -> int | None:
    """Index of the function's parameter behind the operand, through layout operators."""
    while value is not None and (node := value.producer()) is not None and node.op_type in LAYOUT_OPS:
        value = node.inputs[0]
    if value is None or site.function is None:
        return None
    return next((k for k, parameter in enumerate(site.function.inputs) if parameter is value), None)
