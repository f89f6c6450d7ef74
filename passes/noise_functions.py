"""The model-local functions that a rewriting needs, each made once."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import onnx_ir as ir

from nmtool.noise.base import Channels, Primitive, Stage
from nmtool.noise.cell import Cell
from nmtool.noise.wires import Wires
from nmtool.ops import DOMAIN
from nmtool.ops.chip import KINDS_OF_FAULT, cell_function
from nmtool.ops.composites import composite_function, composite_name, dynamic_matmul
from nmtool.ops.converters import CONVERTERS
from nmtool.ops.crossbar import Crossbar, crossbar_function
from nmtool.ops.primitives import primitive_functions
from nmtool.passes.noise_inputs import free_name


class NoiseFunctions:
    """Composites, cells and crossbars by what they depend on; nodes that agree in that share a function."""

    def __init__(self, opset: int) -> None:
        """Start without functions, for a model of opset `opset` of ai.onnx."""
        self._opset = opset
        self._kinds_of_fault = KINDS_OF_FAULT
        self._made: dict[tuple[object, ...], ir.Function] = {}

    def expect(self, stages: Sequence[Stage]) -> None:
        """Prepare for a noise model: the body of StuckFaults is made for its number of kinds."""
        for stage in stages:
            if stage.primitive == "StuckFaults":
                self._kinds_of_fault = np.size(stage.parameters[0].value)

    def composite(self, node: ir.Node, operand: int, stages: Sequence[Stage]) -> ir.Function:
        """The composite for a node, one per operator, operand, noise and set of given attributes."""
        attributes = tuple((attribute.name, attribute.type) for attribute in node.attributes.values())
        primitives = tuple(stage.primitive for stage in stages)
        return self._once(
            (node.op_type, operand, primitives, tuple(sorted(attributes))),
            composite_name(node.op_type, operand, stages),
            lambda name: composite_function(
                name, node.op_type, operand, stages, list(node.attributes.values()), self._opset
            ),
        )

    def dynamic(self, stage: Stage) -> ir.Function:
        """The composite for products of two activations."""
        return self._made.setdefault(("dynamic", stage), dynamic_matmul(stage, self._opset))

    def cells(self, cell: Cell, rank: int, channels: Channels, wires: Wires | None, slices: bool) -> ir.Function:
        """The function that holds arrays of a rank in cells; see `cell_function`."""
        devices = "".join(device.name.title().replace("-", "") for device in cell.devices)
        return self._once(
            (cell, rank, channels, wires, slices),
            f"{devices}Cell",
            lambda name: cell_function(name, cell, self._opset, rank, channels, wires=wires, slices=slices),
        )

    def crossbar(self, crossbar: Crossbar) -> ir.Function:
        """The function of a product on tiles."""
        return self._once((crossbar,), crossbar.name, lambda name: crossbar_function(name, crossbar, self._opset))

    def before(self, model: ir.Model) -> list[ir.Function]:
        """All functions of the model, its own last; what they call of primitives and converters comes first.

        onnx's reference evaluator resolves functions in the order of the file.
        """
        graphs = [model.graph, *(function.graph for function in (*model.functions.values(), *self._made.values()))]
        own = {function.name for function in self._made.values()}
        called = {node.op_type for graph in graphs for node in graph.all_nodes() if node.domain == DOMAIN} - own
        return [*self._primitives(called), *self._made.values(), *model.functions.values()]

    def _primitives(self, called: set[str]) -> list[ir.Function]:
        functions = [CONVERTERS[name](self._opset) for name in sorted(called & CONVERTERS.keys())]
        for name in sorted(called - CONVERTERS.keys()):
            functions += primitive_functions(cast(Primitive, name), self._opset, self._kinds_of_fault)
        return functions

    def _once(self, key: tuple[object, ...], wanted: str, make: Callable[[str], ir.Function]) -> ir.Function:
        """The function for the key, made with a name of its own at its first use."""
        if key not in self._made:
            self._made[key] = make(free_name(wanted, {function.name for function in self._made.values()}))
        return self._made[key]
