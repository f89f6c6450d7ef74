"""The run-time inputs of a noisy model: which sample of the noise, how strong, and when."""

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from nmtool.ops import LAYERS, RUN, SCALE, TIME, TRIAL
from nmtool.passes.graphs import sites, value_names

ARGUMENTS = "nmtool.arguments"
"""Metadata of a call that left out optional inputs at the end, which must now be there: how many it gave."""
_BASE = "nmtool::trial_base"


def free_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or the first of wanted_1, wanted_2, … that is not taken; the result is then taken."""
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


@dataclass
class NoiseInputs:
    """Adds the run-time inputs to the graph, and carries them into functions, each on first use.

    In the graph they have default initializers, so callers that do not know them still work. A function cannot see the
    graph's values, so one that needs some gets further inputs, at the end, and so do its calls.

    Attributes:
        model: the model to change.
        fresh: take the sample from random operators in the graph instead of an input: new noise at every run. It is
            that of the run where the noise has one, else that of the chip.
        time: default of the time input, in seconds.
        arrays: length of the input with a factor for each noisy array.
        names: names of the values that were made, by run-time input.
    """

    model: ir.Model
    fresh: str | None = None
    time: float = 0.0
    arrays: int = 0
    names: dict[str, str] = field(init=False, default_factory=dict)
    _values: dict[tuple[ir.OperatorIdentifier | None, str], ir.Value] = field(init=False, default_factory=dict)
    _fresh_nodes: list[ir.Node] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._taken = value_names(self.model)

    def value(self, function: ir.Function | None, kind: str) -> ir.Value:
        """A run-time input as seen inside `function`, or in the graph and its subgraphs (None).

        Args:
            function: where it is used.
            kind: TRIAL, SCALE, RUN, TIME or LAYERS of nmtool.ops.
        """
        key = (None if function is None else function.identifier(), kind)
        if key not in self._values:
            if kind not in self.names:
                self.names[kind] = free_name(kind, self._taken)
            self._values[key] = self._in_graph(kind) if function is None else self._in_function(function, kind)
        return self._values[key]

    def finish(self) -> None:
        """Put the nodes that draw a fresh sample, if any, in front of all others."""
        if self._fresh_nodes:
            self.model.graph.insert_before(self.model.graph[0], self._fresh_nodes)

    def _in_graph(self, kind: str) -> ir.Value:
        graph, name = self.model.graph, self.names[kind]
        if kind == self.fresh:
            base = ir.val(_BASE, const_value=ir.tensor(np.array([65536], np.int64), name=_BASE))
            graph.register_initializer(base)
            self._fresh_nodes = _fresh_sample(name, base)
            return self._fresh_nodes[-1].outputs[0]
        defaults = {
            TRIAL: np.int64(0),
            RUN: np.int64(0),
            SCALE: np.float32(1.0),
            TIME: np.float32(self.time),
            LAYERS: np.ones(self.arrays, np.float32),
        }
        return _default_input(graph, name, np.array(defaults[kind]))

    def _in_function(self, function: ir.Function, kind: str) -> ir.Value:
        formal = len(function.inputs)
        dtype = ir.DataType.INT64 if kind in (TRIAL, RUN) else ir.DataType.FLOAT
        value = ir.val(self.names[kind], dtype)
        function.inputs.append(value)
        self._values[function.identifier(), kind] = value
        for site in sites(self.model):
            if site.node.op_identifier() == function.identifier():
                outer = self.value(site.function, kind)
                if len(site.node.inputs) < formal and ARGUMENTS not in site.node.metadata_props:
                    site.node.metadata_props[ARGUMENTS] = str(len(site.node.inputs))
                site.node.resize_inputs(formal + 1)
                site.node.replace_input_with(formal, outer)
        return value


def _default_input(graph: ir.Graph, name: str, default: np.ndarray) -> ir.Value:
    value = ir.val(name, const_value=ir.tensor(default, name=name))
    graph.inputs.append(value)
    graph.register_initializer(value)
    return value


def _fresh_sample(name: str, base: ir.Value) -> list[ir.Node]:
    """Nodes that end in a number of 32 random bits, from two uniforms drawn by the runtime at every run.

    Two, because a float32 holds 24 bits only: too few to make a repeated trial as rare as it should be.
    """
    nodes: list[ir.Node] = []

    def node(op_type: str, inputs: list[ir.Value], stem: str, *attributes: ir.Attr) -> ir.Value:
        made = ir.Node("", op_type, inputs, attributes, name=f"nmtool/{stem}", outputs=[ir.val(stem)])
        nodes.append(made)
        return made.outputs[0]

    halves = []
    for half in ("high", "low"):
        bounds = (ir.AttrInt64s("shape", [1]), ir.AttrFloat32("low", 0.0), ir.AttrFloat32("high", 65536.0))
        uniform = node("RandomUniform", [], f"{name}/{half}_uniform", *bounds)
        halves.append(node("Cast", [uniform], f"{name}/{half}", ir.AttrInt64("to", ir.DataType.INT64)))
    product = node("Mul", [halves[0], base], f"{name}/product")
    node("Add", [product, halves[1]], name)
    return nodes
