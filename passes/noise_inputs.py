"""The run-time inputs of a noisy model: which sample of the noise, and how strong."""

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from nmtool.passes.graphs import sites, value_names

TRIAL, SCALE = "noise_trial", "noise_scale"
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
    """Adds the two inputs to the graph, and carries them into functions, on first use.

    In the graph they have default initializers, so callers that do not know them still work. A function cannot see the
    graph's values, so one that needs them gets two more inputs, at the end, and so do its calls.

    Attributes:
        model: the model to change.
        fresh: take the trial from random operators in the graph instead of an input: new noise at every run.
        trial_name: name of the trial's value.
        scale_name: name of the scale's value.
    """

    model: ir.Model
    fresh: bool
    trial_name: str = field(init=False)
    scale_name: str = field(init=False)
    _values: dict[ir.OperatorIdentifier | None, tuple[ir.Value, ir.Value]] = field(init=False, default_factory=dict)
    _fresh_nodes: list[ir.Node] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        taken = value_names(self.model)
        self.trial_name, self.scale_name = free_name(TRIAL, taken), free_name(SCALE, taken)

    def values(self, function: ir.Function | None) -> tuple[ir.Value, ir.Value]:
        """The trial and the scale as seen inside `function`, or in the graph and its subgraphs (None)."""
        key = None if function is None else function.identifier()
        if key not in self._values:
            self._values[key] = self._in_graph() if function is None else self._in_function(function)
        return self._values[key]

    def finish(self) -> None:
        """Put the nodes that draw a fresh trial, if any, in front of all others."""
        if self._fresh_nodes:
            self.model.graph.insert_before(self.model.graph[0], self._fresh_nodes)

    def _in_graph(self) -> tuple[ir.Value, ir.Value]:
        graph = self.model.graph
        if self.fresh:
            base = ir.val(_BASE, const_value=ir.tensor(np.array([65536], np.int64), name=_BASE))
            graph.register_initializer(base)
            self._fresh_nodes = _fresh_trial(self.trial_name, base)
            trial = self._fresh_nodes[-1].outputs[0]
        else:
            trial = _default_input(graph, self.trial_name, np.array(0, np.int64))
        return trial, _default_input(graph, self.scale_name, np.array(1.0, np.float32))

    def _in_function(self, function: ir.Function) -> tuple[ir.Value, ir.Value]:
        formal = len(function.inputs)
        trial = ir.val(self.trial_name, ir.DataType.INT64)
        scale = ir.val(self.scale_name, ir.DataType.FLOAT)
        function.inputs.extend((trial, scale))
        self._values[function.identifier()] = trial, scale
        for site in sites(self.model):
            if site.node.op_identifier() == function.identifier():
                outer = self.values(site.function)
                if len(site.node.inputs) < formal:
                    site.node.metadata_props[ARGUMENTS] = str(len(site.node.inputs))
                site.node.resize_inputs(formal + 2)
                site.node.replace_input_with(formal, outer[0])
                site.node.replace_input_with(formal + 1, outer[1])
        return trial, scale


def _default_input(graph: ir.Graph, name: str, default: np.ndarray) -> ir.Value:
    value = ir.val(name, const_value=ir.tensor(default, name=name))
    graph.inputs.append(value)
    graph.register_initializer(value)
    return value


def _fresh_trial(name: str, base: ir.Value) -> list[ir.Node]:
    """Nodes that end in a trial number of 32 random bits, from two uniforms drawn by the runtime at every run.

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
