"""Recognising what inject put into a model: shared by strip and bake."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from nmtool.errors import ModelError
from nmtool.noise.base import PARAMETER_NAMES
from nmtool.ops import DOMAIN
from nmtool.ops.analog import ANALOG_OPS
from nmtool.ops.composites import NOISE_ATTRIBUTES
from nmtool.passes.graphs import Site, label, sites
from nmtool.passes.noise_inputs import ARGUMENTS
from nmtool.passes.noise_rewriter import NODE_PREFIX, NOISY_SUFFIX

Value = ir.Value | None


@dataclass(frozen=True)
class Draw:
    """One application of a primitive.

    Attributes:
        primitive: its name.
        draw: number of the draw on the stream.
        parameters: its parameters, in order.
    """

    primitive: str
    draw: int
    parameters: tuple[Value, ...]


@dataclass(frozen=True)
class Composite:
    """A call of a composite, taken apart.

    Attributes:
        stock: type of the stock operator.
        operand: which of its inputs is the array.
        inputs: inputs of the stock operator, without absent ones at the end.
        parameters: parameters of the noise.
        draws: what is applied to the array, in order.
        trial: which sample of the noise.
        scale: what multiplies its strength.
    """

    stock: str
    operand: int
    inputs: tuple[Value, ...]
    parameters: tuple[Value, ...]
    draws: tuple[Draw, ...]
    trial: Value
    scale: Value


def noisy_sites(model: ir.Model) -> Iterator[Site]:
    """The nodes of domain nmtool outside nmtool's own functions."""
    for site in sites(model):
        if site.node.domain == DOMAIN and (site.function is None or site.function.domain != DOMAIN):
            yield site


def is_added(node: ir.Node) -> bool:
    """Whether inject added the node (a primitive, a parameter, a copy of a layout operator), rather than changed it."""
    return (node.name or "").startswith(NODE_PREFIX)


def copies(model: ir.Model) -> Iterator[tuple[Site, ir.Value]]:
    """The copies of layout operators that inject made, last first, and the outputs of the originals."""
    found = list(sites(model))
    originals = {(id(site.graph), output.name): output for site in found for output in site.node.outputs}
    for site in reversed(found):
        name = site.node.outputs[0].name or ""
        if is_added(site.node) and site.node.domain != DOMAIN and name.endswith(NOISY_SUFFIX):
            yield site, originals[id(site.graph), name.removesuffix(NOISY_SUFFIX)]


def parameters(model: ir.Model) -> list[ir.Value]:
    """What the nodes that inject changed or added take as inputs, among it all initializers that inject added."""
    nodes = [site.node for site in sites(model) if site.node.domain == DOMAIN or is_added(site.node)]
    return list(dict.fromkeys(value for node in nodes for value in node.inputs if value is not None))


def remove_unused(model: ir.Model, parameters: Sequence[ir.Value]) -> None:
    """Remove the added nodes, and those of the parameters, that nothing uses any more."""
    for site in reversed([site for site in sites(model) if is_added(site.node)]):
        if not any(output.uses() for output in site.node.outputs):
            site.graph.remove(site.node, safe=True)
    for value in parameters:
        if value.is_initializer() and not value.uses() and not value.is_graph_input() and "::" in (value.name or ""):
            model.graph.initializers.pop(value.name or "", None)


def is_primitive(node: ir.Node) -> bool:
    """Whether the node is a primitive in front of an operand, or the cells of one; not a composite."""
    return node.op_type in PARAMETER_NAMES or is_cells(node)


def is_cells(node: ir.Node) -> bool:
    """Whether the node holds an array in cells."""
    return node.domain == DOMAIN and is_added(node) and node.op_type not in PARAMETER_NAMES


def is_crossbar(node: ir.Node) -> bool:
    """Whether the node is a product on tiles, with converters."""
    return node.domain == DOMAIN and node.op_type.startswith("Crossbar")


def stock_of_crossbar(model: ir.Model, node: ir.Node) -> ir.Node:
    """The stock node that the call of a crossbar function stands for, with the same operand.

    Raises:
        ModelError: the model does not define the function, or it is not named after an operator.
    """
    function = model.functions.get(node.op_identifier())
    named = node.op_type.removeprefix("Crossbar")
    types = [op_type for (domain, op_type), op in ANALOG_OPS.items() if op.inputs and named.startswith(op_type)]
    if function is None or not types:
        raise ModelError(
            f"node {label(node)!r} is a {DOMAIN}::{node.op_type}, which the model does not define as nmtool does",
            hint="another tool removed or changed the functions: inject the source model again",
        )
    stock = max(types, key=len)
    op = ANALOG_OPS["", stock]
    bias = function.inputs[-1].name in op.inputs[op.required :]
    inputs = [*node.inputs[: op.required], *(node.inputs[-1:] if bias else [])]
    return _stock_node(node, stock, inputs)


def take_apart(model: ir.Model, node: ir.Node) -> Composite:
    """The parts of a call of a composite, read from the function that defines it.

    Raises:
        ModelError: the model holds no such function.
    """
    function = model.functions.get((DOMAIN, node.op_type, ""))
    stock = function.graph[-1] if function is not None and len(function) else None
    operand = None
    if stock is not None:
        operands = enumerate(stock.inputs)
        operand = next((k for k, value in operands if value is not None and value.producer() is not None), None)
    if function is None or stock is None or operand is None or ("", stock.op_type) not in ANALOG_OPS:
        raise ModelError(
            f"node {label(node)!r} is a {DOMAIN}::{node.op_type}, which the model does not define as nmtool does",
            hint="another tool removed or changed the functions: inject the source model again",
        )
    op = ANALOG_OPS["", stock.op_type]
    optional = len(op.inputs) - op.required
    given = dict(zip(function.inputs, node.inputs, strict=False))
    draws = tuple(
        Draw(
            body.op_type,
            body.attributes.get_int("draw", 0),
            tuple(given.get(value) for value in body.inputs[1:-2] if value is not None),
        )
        for body in function
        if body.domain == DOMAIN
    )
    end = len(function.inputs) - optional
    return Composite(
        stock.op_type,
        operand,
        _trim([*node.inputs[: op.required], *node.inputs[end:]]),
        tuple(node.inputs[op.required : end - 2]),
        draws,
        *node.inputs[end - 2 : end],
    )


def stock_node(call: ir.Node, parts: Composite) -> ir.Node:
    """The stock node that the call of a composite stands for."""
    return _stock_node(call, parts.stock, parts.inputs)


def _stock_node(call: ir.Node, op_type: str, inputs: Sequence[Value]) -> ir.Node:
    return ir.Node(
        "",
        op_type,
        inputs,
        [attribute for attribute in call.attributes.values() if attribute.name not in NOISE_ATTRIBUTES],
        name=call.name,
        doc_string=call.doc_string,
        metadata_props=dict(call.metadata_props),
    )


def remove_noise_inputs(model: ir.Model, names: Collection[str]) -> None:
    """Take the run-time inputs of these names out of the inputs of the graph and of functions, and out of calls."""
    for function in model.functions.values():
        added = [value for value in function.inputs if value.name in names]
        if function.domain == DOMAIN or not added:
            continue
        formal = len(function.inputs) - len(added)
        del function.inputs[formal:]
        for site in sites(model):
            if site.node.op_identifier() == function.identifier():
                site.node.resize_inputs(int(site.node.metadata_props.pop(ARGUMENTS, formal)))
    for value in [value for value in model.graph.inputs if value.name in names]:
        model.graph.inputs.remove(value)
    for name in names:
        model.graph.initializers.pop(name, None)


def remove_noise_functions(model: ir.Model) -> None:
    """Remove nmtool's functions and the imports of its domain."""
    for identifier in [identifier for identifier in model.functions if identifier[0] == DOMAIN]:
        del model.functions[identifier]
    model.opset_imports.pop(DOMAIN, None)
    for function in model.functions.values():
        function.opset_imports.pop(DOMAIN, None)


def _trim(values: Sequence[Value]) -> tuple[Value, ...]:
    end = len(values)
    while end and values[end - 1] is None:
        end -= 1
    return tuple(values[:end])
