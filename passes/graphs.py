"""Walking a model: its graph, the subgraphs of If, Loop and Scan, and the model-local functions."""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir


@dataclass(frozen=True)
class Site:
    """A node and where it is.

    Attributes:
        node: the node.
        graph: the graph, subgraph or body of a function that it is in.
        function: the model-local function that holds it, or None in the main graph and its subgraphs.
        path: prefix of the names of values of this graph: "" in the main graph, "owner/attribute/" in a subgraph of the
            node whose first named output is `owner`, "domain::name/" in a function.
    """

    node: ir.Node
    graph: ir.Graph
    function: ir.Function | None
    path: str


def label(node: ir.Node) -> str:
    """The node's name, or its first output's where it has none: how reports and selections call it."""
    return node.name or next((output.name for output in node.outputs if output.name), node.op_type)


def function_path(function: ir.Function) -> str:
    """Prefix of the names of the values inside a function."""
    overload = f":{function.overload}" if function.overload else ""
    return f"{function.domain}::{function.name}{overload}/"


def sites(model: ir.Model) -> Iterator[Site]:
    """All nodes of the model in order, subgraphs after the node that holds them, functions last."""
    yield from _walk(model.graph, None, "")
    for function in model.functions.values():
        yield from _walk(function.graph, function, function_path(function))


def _walk(graph: ir.Graph, function: ir.Function | None, path: str) -> Iterator[Site]:
    for node in list(graph):
        yield Site(node, graph, function, path)
        for name, subgraph in subgraphs(node):
            yield from _walk(subgraph, function, _subgraph_path(path, node, name))


def _subgraph_path(path: str, node: ir.Node, attribute: str) -> str:
    owner = next((output.name for output in node.outputs if output.name), "")
    return f"{path}{owner}/{attribute}/"


def subgraphs(node: ir.Node) -> Iterator[tuple[str, ir.Graph]]:
    """The graphs that the node's attributes hold, by the attribute's name, numbered where it holds several."""
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.name, attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            for k, subgraph in enumerate(attribute.as_graphs()):
                yield f"{attribute.name}{k}", subgraph


def graphs(model: ir.Model) -> Iterator[tuple[ir.Graph, str]]:
    """Every graph of the model with the prefix of its values' names."""
    yield model.graph, ""
    for function in model.functions.values():
        yield function.graph, function_path(function)
    for site in sites(model):
        for name, subgraph in subgraphs(site.node):
            yield subgraph, _subgraph_path(site.path, site.node, name)


def value_names(model: ir.Model) -> set[str]:
    """Every value name used anywhere in the model: what a new name must differ from."""
    names: set[str] = set()
    for graph, _ in graphs(model):
        names.update(value.name or "" for value in graph.inputs)
        names.update(graph.initializers)
        names.update(output.name or "" for node in graph for output in node.outputs)
    return names


class FullNames:
    """Names of values that are unique in the whole model: with the path of their graph."""

    def __init__(self, model: ir.Model) -> None:
        """Remember the path of every graph of the model."""
        self._paths = {id(graph): path for graph, path in graphs(model)}

    def __call__(self, value: ir.Value) -> str:
        """The path of the value's graph and its name."""
        return f"{self._paths[id(graph_of(value))]}{value.name}"


def graph_of(value: ir.Value) -> ir.Graph | None:
    """The graph that defines the value: as an input, an initializer or a node's output."""
    producer = value.producer()
    graph = producer.graph if producer is not None else value.graph
    return graph.graph if isinstance(graph, ir.Function) else graph


def replace_node(graph: ir.Graph, old: ir.Node, new: ir.Node) -> None:
    """Put `new` where `old` is; its outputs take over names, types, documentation and users of the old ones."""
    for before, after in zip(old.outputs, new.outputs, strict=True):
        after.doc_string = before.doc_string
        after.metadata_props.update(before.metadata_props)
        after.meta.update(before.meta)
    ir.convenience.replace_nodes_and_values(graph, old, [old], [new], old.outputs, new.outputs)
