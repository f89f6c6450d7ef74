"""Freeze one sample of the noise into the weights: the pass behind `nmtool bake`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import InlinePass, RemoveUnusedNodesPass

from nmtool import provenance
from nmtool.errors import ModelError
from nmtool.noise.reference import Source, gaussian_noise, lognormal_noise, stuck_faults
from nmtool.ops import DOMAIN, RUN, SCALE, TIME, TRIAL
from nmtool.passes.cells import Sampler, cells_sampler
from nmtool.passes.constants import ConstantFinder
from nmtool.passes.graphs import Site, label, replace_node
from nmtool.passes.inject_noise import opset_of
from nmtool.passes.noise_rewriter import NOISY_SUFFIX
from nmtool.passes.noisy_nodes import (
    Composite,
    Draw,
    copies,
    is_cells,
    is_crossbar,
    is_primitive,
    noisy_sites,
    parameters,
    remove_noise_functions,
    remove_noise_inputs,
    remove_unused,
    stock_node,
    take_apart,
)

_PRIMITIVES: dict[str, Callable[..., NDArray[Any]]] = {
    "GaussianNoise": gaussian_noise,
    "LognormalNoise": lognormal_noise,
    "StuckFaults": stuck_faults,
}
_CHUNK = 1 << 18  # elements drawn at a time: the generator's temporaries stay in cache


class BakeNoise(ir.passes.InPlacePass):
    """Replace noisy weights by one sample of them, as plain standard ONNX.

    1. An initializer or Constant that only noisy nodes use keeps its name; its payload becomes the sample.
    2. Otherwise (digital nodes use it too, or it is computed from constants) the sample is "<name>::noisy".
    3. Noise on activations becomes standard operators with the trial and scale fixed.
    4. Everything else that inject added is removed. A model that is not noisy is left alone.
    """

    def __init__(self, trial: int, scale: float, run: int = 0, time: float | None = None) -> None:
        """Freeze sample `trial` at `scale`, with sample `run` of what is drawn at every run.

        The time, in seconds since programming, is the model's own where it is None.
        """
        self.trial = trial
        self.scale = scale
        self.run = run
        self.time = time

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Bake the model in place.

        Raises:
            ModelError: noise on activations has no specified values below opset 18.
        """
        record = provenance.read(model)
        if record is None:
            return ir.passes.PassResult(model, False)
        added = parameters(model)
        self._inputs = self._values_of_inputs(model, record)
        self._model = model
        _drop_unused_originals(model)
        self._finder = ConstantFinder(model, opset_of(model))
        self._baked: dict[ir.Value, ir.Value] = {}
        run_time: list[Site] = []
        for site in list(noisy_sites(model)):
            if site.node.graph is None:
                continue  # went with the chain of primitives before it
            if is_primitive(site.node):
                self._bake_primitives(site)
            elif is_crossbar(site.node) or not self._bake_composite(site, take_apart(model, site.node)):
                run_time.append(site)
        if run_time:
            if not record.exact and any(_draws(model, site.node) for site in run_time):
                raise ModelError(
                    f"node {label(run_time[0].node)!r} has noise on activations, which has no specified values "
                    f"at opset {opset_of(model)}",
                    hint="inject again with --opset 18",
                )
            self._fix_inputs(model, record)
            InlinePass(lambda function: function.domain == DOMAIN)(model)
            RemoveUnusedNodesPass()(model)
        else:
            remove_noise_inputs(model, record.inputs.values())
            remove_unused(model, added)
        remove_noise_functions(model)
        provenance.remove(model)
        return ir.passes.PassResult(model, True)

    def _bake_primitives(self, site: Site) -> None:
        """Bake the cells, or the chain of primitives, that begin at the node."""
        array = site.node.inputs[0]
        assert array is not None
        chain = [site.node]
        if is_cells(site.node):
            baked = self._baked_array(site, array, cells_sampler(self._model, site.node, self._inputs))
        else:
            while (following := _next_primitive(chain[-1])) is not None:
                chain.append(following)
            draws = tuple(Draw(n.op_type, n.attributes.get_int("draw", 0), tuple(n.inputs[1:-2])) for n in chain)
            baked = self._baked_array(site, array, self._draws_sampler(site.node, draws))
        chain[-1].outputs[0].replace_all_uses_with(baked)
        for node in reversed(chain):
            site.graph.remove(node, safe=True)

    def _bake_composite(self, site: Site, parts: Composite) -> bool:
        """Bake the array of a composite, unless that is an activation."""
        array = parts.inputs[parts.operand]
        assert array is not None
        if not self._finder.is_constant(array):
            return False
        baked = self._baked_array(site, array, self._draws_sampler(site.node, parts.draws))
        stock = stock_node(site.node, parts)
        stock.replace_input_with(parts.operand, baked)
        replace_node(site.graph, site.node, stock)
        return True

    def _baked_array(self, site: Site, array: ir.Value, sampler: Sampler) -> ir.Value:
        """The constant that replaces the noisy array; one for all its users."""
        if array not in self._baked:
            tensor = self._sample(array, sampler)
            only_noisy = not array.is_graph_output() and all(node.domain == DOMAIN for node, _ in array.uses())
            producer = array.producer()
            if only_noisy and array.is_initializer():
                array.const_value = tensor
                self._baked[array] = array
            elif only_noisy and producer is not None and "value" in producer.attributes:  # a Constant node
                producer.attributes.add(ir.AttrTensor("value", tensor))
                self._baked[array] = array
            else:
                tensor.name = f"{array.name}{NOISY_SUFFIX}"
                self._baked[array] = _constant(site, tensor)
        return self._baked[array]

    def _draws_sampler(self, node: ir.Node, draws: tuple[Draw, ...]) -> Sampler:
        """What the primitives make of the weights."""
        if any(value is None for draw in draws for value in draw.parameters):
            raise ModelError(
                f"node {label(node)!r} is a {DOMAIN}::{node.op_type}, which the model does not define as nmtool does: "
                "it computes the parameters of its noise",
                hint="another tool changed the functions: inject the source model again",
            )
        parameters = [[self._finder.tensor(v).numpy() for v in draw.parameters if v is not None] for draw in draws]
        seed, stream = (node.attributes.get_int(attribute, 0) for attribute in ("seed", "stream"))

        def sample(weights: NDArray[Any]) -> NDArray[Any]:
            for draw, values in zip(draws, parameters, strict=True):
                source = Source(seed, stream, self.trial, draw.draw)
                weights = _apply(draw.primitive, weights, values, source, self.scale)
            return weights

        return sample

    def _sample(self, array: ir.Value, sampler: Sampler) -> ir.TensorProtocol:
        """The array with noise; computed when it is written if it is external, so that only one is in memory."""
        clean, name = self._finder.tensor(array), array.name
        shape = ir.Shape(clean.shape.numpy())

        def compute() -> ir.TensorProtocol:
            weights = sampler(np.asarray(clean.numpy()))
            if isinstance(clean, ir.ExternalTensor):
                clean.release()  # else the pages of every array stay resident
            return ir.Tensor(weights, dtype=clean.dtype, shape=shape, name=name)

        if isinstance(clean, ir.ExternalTensor):
            return ir.LazyTensor(compute, dtype=clean.dtype, shape=shape, name=name)
        return compute()

    def _values_of_inputs(self, model: ir.Model, record: provenance.Provenance) -> dict[str, NDArray[Any]]:
        """What the run-time inputs are fixed at, by kind."""
        time = self.time
        if time is None:
            default = model.graph.initializers.get(record.time_input or "")
            time = float(default.const_value.numpy()) if default is not None and default.const_value else 0.0
        return {
            TRIAL: np.array(self.trial, np.int64),
            RUN: np.array(self.run, np.int64),
            SCALE: np.array(self.scale, np.float32),
            TIME: np.array(time, np.float32),
        }

    def _fix_inputs(self, model: ir.Model, record: provenance.Provenance) -> None:
        """Turn the inputs, or the value of a fresh trial, into constants."""
        graph = model.graph
        fixed = {name: self._inputs[kind] for kind, name in record.inputs.items()}
        for value in [*graph.inputs, *(output for node in graph for output in node.outputs)]:
            if value.name not in fixed:
                continue
            tensor = ir.tensor(fixed[value.name or ""], name=value.name)
            if value.is_graph_input():
                graph.inputs.remove(value)
                value.const_value = tensor
            else:
                tensor.name = f"{value.name}::fixed"
                constant = ir.val(tensor.name, const_value=tensor)
                graph.register_initializer(constant)
                value.replace_all_uses_with(constant)


def _draws(model: ir.Model, node: ir.Node) -> bool:
    """Whether a node that computes with activations takes a sample of the noise."""
    return any(value.name in (TRIAL, RUN) for value in model.functions[node.op_identifier()].inputs)


def _next_primitive(node: ir.Node) -> ir.Node | None:
    """The primitive that takes the node's output as its array."""
    consumers = [use.node for use in node.outputs[0].uses() if use.idx == 0 and is_primitive(use.node)]
    return consumers[0] if consumers else None


def _drop_unused_originals(model: ir.Model) -> None:
    """Give the copies of layout operators the place of the originals, where only noisy nodes used these."""
    for copy, original in copies(model):
        node = original.producer()
        if node is not None and not original.uses() and not original.is_graph_output():
            copy.graph.remove(node, safe=True)
            copy.node.name, copy.node.outputs[0].name = node.name, original.name


def _constant(site: Site, tensor: ir.TensorProtocol) -> ir.Value:
    """A new constant that the site's node can see: an initializer, or in a function a Constant node."""
    if site.function is None:
        value = ir.val(tensor.name or "", const_value=tensor)
        site.graph.register_initializer(value)
        return value
    node = ir.Node("", "Constant", [], [ir.AttrTensor("value", tensor)], outputs=[ir.val(tensor.name or "")])
    site.graph.insert_before(site.node, [node])
    return node.outputs[0]


def _apply(
    primitive: str, weights: NDArray[Any], parameters: Sequence[NDArray[Any]], source: Source, scale: float
) -> NDArray[Any]:
    """The primitive on the whole array, a chunk at a time."""
    flat, result = weights.reshape(-1), np.empty(weights.size, weights.dtype)
    per_element = [
        np.broadcast_to(p, weights.shape).reshape(-1) if p.size > 1 and primitive != "StuckFaults" else None
        for p in parameters
    ]
    for start in range(0, flat.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        values = [p if e is None else e[part] for p, e in zip(parameters, per_element, strict=True)]
        values = [v.reshape(()) if v.size == 1 and primitive != "StuckFaults" else v for v in values]
        result[part] = _PRIMITIVES[primitive](flat[part], *values, source, scale, start)
    return result.reshape(weights.shape)
