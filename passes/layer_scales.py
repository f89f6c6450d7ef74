"""One session for all layers: a run-time factor on the noise of each array."""

import dataclasses

import numpy as np
import onnx_ir as ir

from nmtool import provenance
from nmtool.errors import ModelError
from nmtool.ops import LAYERS
from nmtool.passes.graphs import Site
from nmtool.passes.noise_inputs import NoiseInputs
from nmtool.passes.noise_rewriter import NODE_PREFIX
from nmtool.passes.noisy_layers import NoisyLayer, noisy_layers


class LayerScales(ir.passes.InPlacePass):
    """Multiply the strength of each array's noise by its own element of a new input, `noise_scales` [arrays].

    1. Each node that draws noise takes the product of `noise_scale` and its element instead of `noise_scale`.
    2. The input has a default of ones, with which the model computes what it did before, and is carried into functions.
    3. The record of the noise names it.

    Attributes:
        layers: the noisy arrays, in the order of the elements; filled by the call.
    """

    def __init__(self) -> None:
        """Prepare the pass."""
        self.layers: list[NoisyLayer] = []

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Change the model in place; one that takes such factors already is left alone.

        Raises:
            ModelError: the model is not noisy.
        """
        record = provenance.read(model)
        if record is None:
            raise ModelError("the model has no noise to scale", hint="inject it first")
        self.layers = noisy_layers(model)
        if record.layers_input is not None:
            return ir.passes.PassResult(model, False)
        inputs = NoiseInputs(model, arrays=len(self.layers))
        heads: dict[int, tuple[ir.Graph, list[ir.Node]]] = {}
        for number, layer in enumerate(self.layers):
            products: dict[ir.Value, ir.Value] = {}
            for site in layer.drawing:
                index, scale = _scale(site, record.scale_input)
                if scale not in products:
                    nodes = _product(scale, inputs.value(site.function, LAYERS), number)
                    graph = model.graph if site.function is None else site.function.graph
                    heads.setdefault(id(graph), (graph, []))[1].extend(nodes)
                    products[scale] = nodes[-1].outputs[0]
                site.node.replace_input_with(index, products[scale])
        for graph, nodes in heads.values():
            graph.insert_before(graph[0], nodes)
        provenance.write(model, dataclasses.replace(record, layers_input=inputs.names[LAYERS]))
        return ir.passes.PassResult(model, True)


def _scale(site: Site, name: str) -> tuple[int, ir.Value]:
    """Where the node takes its strength from."""
    for index, value in enumerate(site.node.inputs):
        if value is not None and value.name == name:
            return index, value
    raise ModelError(f"node {site.node.name!r} does not take {name!r}", hint="inject the source model again")


def _product(scale: ir.Value, factors: ir.Value, number: int) -> list[ir.Node]:
    """Nodes that end in the strength times element `number` of the factors."""
    stem = f"{LAYERS}::{number}"
    position = ir.AttrTensor("value", ir.tensor(np.array(number, np.int64)))
    constant = ir.Node("", "Constant", [], [position], name=f"{NODE_PREFIX}{stem}/position")
    constant.outputs[0].name = f"{stem}/position"
    element = ir.Node("", "Gather", [factors, constant.outputs[0]], name=f"{NODE_PREFIX}{stem}/factor")
    element.outputs[0].name = f"{stem}/factor"
    product = ir.Node("", "Mul", [scale, element.outputs[0]], name=f"{NODE_PREFIX}{stem}", outputs=[ir.val(stem)])
    return [constant, element, product]
