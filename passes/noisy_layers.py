"""The noisy arrays of a model, what draws their noise, and the nodes that multiply with them."""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from nmtool.passes.constants import ConstantFinder
from nmtool.passes.graphs import Site, label, sites
from nmtool.passes.inject_noise import opset_of
from nmtool.passes.noisy_nodes import is_added, is_crossbar, is_primitive, noisy_sites, take_apart


@dataclass(frozen=True, eq=False)
class NoisyLayer:
    """An array with noise.

    Attributes:
        array: its name, as `inject` reports it; of an activation that is written to an array, that of the value.
        drawing: the nodes that draw its noise: composites, or the primitives or cells behind it, and the crossbars it
            is on, whose converters are noisy too.
        users: the nodes that multiply with it, in graph order.
    """

    array: str
    drawing: tuple[Site, ...]
    users: tuple[Site, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """Labels of the users."""
        return tuple(label(site.node) for site in self.users)


def noisy_layers(model: ir.Model) -> list[NoisyLayer]:
    """The noisy arrays in the order of the nodes that use them; one that several nodes use comes once.

    Raises:
        ModelError: the model does not define its noisy operators as nmtool does.
    """
    finder = ConstantFinder(model, opset_of(model))
    order = {site.node: (position, site) for position, site in enumerate(sites(model))}
    drawing: dict[str, list[Site]] = {}
    for site in noisy_sites(model):
        value = _behind(_operand(model, site.node, finder))
        array = finder.find(value)
        drawing.setdefault(finder.full_name(value) if array is None else array.name, []).append(site)
    found = []
    for name, drawn in drawing.items():
        nodes = {user for site in drawn for user in _users(site.node)}
        users = sorted((order[node] for node in nodes), key=lambda entry: entry[0])
        found.append((users[0][0], NoisyLayer(name, tuple(drawn), tuple(site for _, site in users))))
    return [layer for _, layer in sorted(found, key=lambda entry: entry[0])]


def _operand(model: ir.Model, node: ir.Node, finder: ConstantFinder) -> ir.Value:
    """The input that is the array, or the noisy array."""
    if is_primitive(node):
        index = 0
    elif is_crossbar(node):
        constant = [k for k in (0, 1) if (v := node.inputs[k]) is not None and finder.find(_behind(v)) is not None]
        index = constant[-1]
    else:
        index = take_apart(model, node).operand
    value = node.inputs[index]
    assert value is not None  # take_apart and the crossbar's own function require it
    return value


def _behind(value: ir.Value) -> ir.Value:
    """The array behind what inject added to it."""
    while (node := value.producer()) is not None and is_added(node) and node.inputs and node.inputs[0] is not None:
        value = node.inputs[0]
    return value


def _users(node: ir.Node) -> Iterator[ir.Node]:
    """The nodes of the source model that take the noise which a node draws."""
    if not is_added(node):
        yield node
        return
    for output in node.outputs:
        for use in output.uses():
            yield from _users(use.node)
