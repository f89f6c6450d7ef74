"""Building nodes one after the other, with names that begin alike."""

from collections.abc import Mapping, Sequence

import onnx_ir as ir


class Nodes:
    """A list of nodes that grows.

    Attributes:
        nodes: the nodes, in order.
    """

    def __init__(self, prefix: str) -> None:
        """Values are called `prefix`, their operator, and a number."""
        self.nodes: list[ir.Node] = []
        self._prefix = prefix

    def op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, int | float | ir.Graph] | None = None,
        *,
        domain: str = "",
        name: str | None = None,
    ) -> ir.Value:
        """Add a node; returns its output."""
        output = ir.val(f"{self._prefix}{op_type}{len(self.nodes)}")
        made = ir.convenience.convert_attributes(attributes or {})
        self.nodes.append(ir.Node(domain, op_type, inputs, made, name=name or output.name, outputs=[output]))
        return output

    def copy(self, node: ir.Node, inputs: Mapping[int, ir.Value | None] | None = None) -> ir.Value:
        """Add a node like `node`, with other or further inputs in some places; returns its output."""
        given = dict(enumerate(node.inputs)) | dict(inputs or {})
        taken = [given.get(k) for k in range(max(given) + 1)]
        output = ir.val(f"{self._prefix}{node.op_type}{len(self.nodes)}")
        self.nodes.append(
            ir.Node(node.domain, node.op_type, taken, node.attributes.values(), name=node.name, outputs=[output])
        )
        return output

    def choose(
        self,
        condition: ir.Value,
        then: "tuple[Nodes, ir.Value]",
        otherwise: "tuple[Nodes, ir.Value]",
        name: str | None = None,
    ) -> ir.Value:
        """Add an If whose branches are nodes and the value that they end in; returns its output."""
        branches = {
            f"{branch}_branch": ir.Graph([], [value], nodes=part.nodes, name=value.name)
            for branch, (part, value) in (("then", then), ("else", otherwise))
        }
        return self.op("If", [condition], branches, name=name)
