"""Models in the form that onnxruntime-training reads: opset 18 to 21, IR version 10 at most."""

from typing import Any

import onnx
import onnx_ir as ir
from onnx import defs, version_converter

from nmtool.errors import ModelError
from nmtool.model import load, to_proto
from nmtool.ops import EXACT_OPSET
from nmtool.passes.graphs import label

NEWEST_OPSET = 21
"""The last one that ONNX Runtime 1.19 knows."""
NEWEST_IR = 10


def within_reach(model: ir.Model) -> ir.Model:
    """The model at an opset and an IR version that the engine takes; it may be changed.

    Below the opset of the exact noise it is lifted by onnx's converter. Above the engine's newest opset it is declared
    to be of that one, if no operator changed in between but for the types that it takes: then it is.

    Raises:
        ModelError: the converter fails, or an operator has changed; it names the node.
    """
    opset = model.opset_imports.get("", 0)
    if opset < EXACT_OPSET:
        model = _lifted(model, opset)
    elif opset > NEWEST_OPSET:
        for node in model.graph.all_nodes():
            if not node.domain and _signature(node.op_type, opset) != _signature(node.op_type, NEWEST_OPSET):
                raise ModelError(
                    f"the engine ort knows opset {NEWEST_OPSET} at most, and {node.op_type} (node {label(node)!r}) "
                    f"has changed until opset {opset}",
                    hint="export the model at a lower opset, or use --engine torch",
                )
        model.opset_imports[""] = NEWEST_OPSET
    model.ir_version = min(model.ir_version, NEWEST_IR)
    return model


def _lifted(model: ir.Model, opset: int) -> ir.Model:
    try:
        return load(version_converter.convert_version(to_proto(model), EXACT_OPSET))
    except (RuntimeError, ValueError) as error:  # what the converter's C++ raises
        raise ModelError(
            f"the version converter cannot lift the model from opset {opset} to {EXACT_OPSET}: {error}",
            hint="export it at a higher opset, or use --engine torch",
        ) from error


def _signature(op_type: str, opset: int) -> Any:
    """All that a schema says about a call, but for types; None where there is no such operator."""
    try:
        schema = defs.get_schema(op_type, opset, "")
    except onnx.defs.SchemaError:
        return None
    attributes = {name: (each.type, each.required, str(each.default_value)) for name, each in schema.attributes.items()}
    ports = [[(port.name, port.option) for port in ports] for ports in (schema.inputs, schema.outputs)]
    return attributes, ports
