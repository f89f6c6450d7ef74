"""Deciding, for every node, whether it maps to analog arrays: the plan that InjectNoise carries out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx_ir as ir

from nmtool.noise.base import NoiseModel
from nmtool.noise.cell import Cell
from nmtool.ops import DOMAIN
from nmtool.ops.analog import ANALOG_OPS, DIGITAL_OPS, EVERY_OPERAND
from nmtool.ops.composites import has_dynamic_form
from nmtool.passes.constants import FLOATS, LAYOUT_OPS, ConstantArray, ConstantFinder, stored_tensor
from nmtool.passes.function_weights import CallWeights, call_weights
from nmtool.passes.graphs import Site, graphs, sites
from nmtool.passes.inference import Inference

NEGATIVE_AXES_OPSET = 11
"""The first opset whose Reduce operators take negative axes, which noise sized at run time needs."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A matrix operand: an analog array can hold it, or there is a reason why not.

    Attributes:
        site: the node and where it is.
        operand: which of its inputs.
        array: the constant array, or None for an activation.
        digital: why it stays digital, or "" when it can be noisy; an activation is then written to an array at run
            time.
    """

    site: Site
    operand: int
    array: ConstantArray | None
    digital: str = ""


class Coverage:
    """Finds the analog operands of a model, and the reasons of the nodes that have none."""

    def __init__(self, model: ir.Model, noise: NoiseModel | Cell | None, dynamic: bool, opset: int) -> None:
        """Look at `model` for `noise`; `dynamic` also takes products of two activations."""
        self.inference = Inference(model)
        self._finder = ConstantFinder(model, opset)
        self._calls = call_weights(model)
        self._model = model
        self._sites_of_calls: dict[ir.OperatorIdentifier, list[Site]] = {
            identifier: [] for identifier in model.functions
        }
        for site in sites(model):
            if site.node.op_identifier() in model.functions:
                self._sites_of_calls[site.node.op_identifier()].append(site)
        self._no_dynamic = self._reason_against_dynamic(noise, dynamic, opset)

    def candidates(self) -> Iterator[Candidate]:
        """Every matrix operand of the model, in graph order."""
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

    def other_weights(self, arrays: Iterable[ConstantArray]) -> tuple[int, dict[str, int]]:
        """Floating-point weights that `arrays` are not made of: how many, and by which operators how often used."""
        count, users = 0, dict[str, int]()
        ingredients = {name for array in arrays for name in self._finder.ingredients(array.value)}
        for graph, path in graphs(self._model):
            if path.startswith(f"{DOMAIN}::"):
                continue
            constants = [node.outputs[0] for node in graph if node.op_type == "Constant"]
            for value in (*graph.initializers.values(), *constants):
                tensor = stored_tensor(value)
                if (
                    f"{path}{value.name}" in ingredients
                    or tensor is None
                    or tensor.dtype not in FLOATS
                    or tensor.size < 2
                ):
                    continue
                count += tensor.size
                for op_type in sorted({node.op_type for node, _ in value.uses()}):
                    users[op_type] = users.get(op_type, 0) + 1
        return count, users

    def _operator(self, site: Site, operands: tuple[int, ...], every: bool) -> Iterator[Candidate]:
        given = [k for k in operands if k < len(site.node.inputs) and site.node.inputs[k] is not None]
        found = [(k, array) for k in given if (array := self._find(site.node.inputs[k])) is not None]
        if len(found) > 1 and not every:
            both = "both operands are constant: it is folded before it reaches an array"
            yield Candidate(site, *found[0], both)
        elif found:
            for operand, array in found:
                yield _usable(site, operand, array)
        elif not any(self._is_reported_at_calls(site, site.node.inputs[k]) for k in given):
            yield self._activation(site, operands[0])

    def _activation(self, site: Site, operand: int) -> Candidate:
        if (site.node.domain, site.node.op_type) != ("", "MatMul"):
            return Candidate(site, operand, None, "its weights are computed at run time")
        shape = self.inference.shape(site.node.inputs[operand])
        vector = "product of two activations, the right one a vector" if shape is not None and len(shape) < 2 else ""
        return Candidate(site, operand, None, self._no_dynamic or vector)

    def _is_reported_at_calls(self, site: Site, value: ir.Value | None) -> bool:
        """Whether the value is a parameter of the function to which some call gives a constant."""
        parameter = _parameter(site, value)
        if parameter is None or site.function is None:
            return False
        use = self._calls.get(site.function.identifier(), CallWeights())
        return parameter in use.parameters and self._is_given_constant(site.function.identifier(), parameter)

    def _is_given_constant(self, identifier: ir.OperatorIdentifier, parameter: int) -> bool:
        """Whether some call of the function has a constant for the parameter."""
        calls = [site for site in self._sites_of_calls[identifier] if parameter < len(site.node.inputs)]
        arguments = [(site, site.node.inputs[parameter]) for site in calls]
        return any(self._find(value) or self._is_reported_at_calls(site, value) for site, value in arguments)

    def _call(self, site: Site, use: CallWeights) -> Iterator[Candidate]:
        given = [k for k in use.parameters if k < len(site.node.inputs)]
        found = [(k, array) for k in given if (array := self._find(site.node.inputs[k])) is not None]
        for index, array in found:
            if index in use.arrays:
                yield _usable(site, index, array)
            else:
                yield Candidate(site, index, array, f"inside the function, {use.mixed[index]} also uses the weights")
        if not found and not any(self._is_reported_at_calls(site, site.node.inputs[k]) for k in given):
            elsewhere = [k for k in given if self._is_given_constant(site.node.op_identifier(), k)]
            if elsewhere:  # the operator inside is reported at those calls, so this one is, too
                yield Candidate(site, elsewhere[0], None, "its weights are computed at run time")

    def _digital(self, site: Site, reason: str) -> Iterator[Candidate]:
        found = [(k, array) for k, value in enumerate(site.node.inputs) if (array := self._find(value))]
        arrays = [(k, array) for k, array in found if len(array.tensor.shape) > 1]
        if arrays:
            yield Candidate(site, *arrays[0], reason)
        elif site.node.op_type != "Gather":
            yield Candidate(site, 0, None, reason)

    def _find(self, value: ir.Value | None) -> ConstantArray | None:
        return None if value is None else self._finder.find(value)

    @staticmethod
    def _reason_against_dynamic(noise: NoiseModel | Cell | None, dynamic: bool, opset: int) -> str | None:
        if not dynamic:
            return "product of two activations (--dynamic makes the right operand noisy)"
        if noise is None or isinstance(noise, Cell):
            return "product of two activations: cells are programmed before the model runs"
        if not has_dynamic_form(noise.stages()):
            return f"product of two activations: noise model `{noise.name}` needs the weights at injection"
        if opset < NEGATIVE_AXES_OPSET:
            return f"product of two activations: its range at run time needs opset {NEGATIVE_AXES_OPSET} (use --opset)"
        return None


def _usable(site: Site, operand: int, array: ConstantArray) -> Candidate:
    reason = ""
    if array.tensor.dtype not in FLOATS:
        reason = f"its weights are {array.tensor.dtype.name}: noise needs floating point"
    elif array.tensor.size == 0:
        reason = "its array is empty"
    return Candidate(site, operand, array, reason)


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
