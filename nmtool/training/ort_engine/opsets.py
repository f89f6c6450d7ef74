"""Models in the form that onnxruntime-training reads: opset 18 to 21, IR version 10 at most."""

from typing import Any

import onnx_ir as ir
from onnx import defs, version_converter

from nmtool.errors import ModelError
from nmtool.model import load, to_proto
from nmtool.ops import EXACT_OPSET
from nmtool.passes.graphs import label

NEWEST_OPSET = 21
"""The last one that ONNX Runtime 1.19 knows; it reads IR version NEWEST_IR."""
NEWEST_IR = 10
_HINT = "export the model at opset 18 to 21, or use --engine torch"


def within_reach(model: ir.Model) -> ir.Model:
    """The model at an opset and an IR version that the engine takes; the argument may be changed.

    Below the opset of the exact noise it is lifted by onnx's converter. Above the newest one it is declared to be of
    that: so it is, where the operators have changed in nothing but the types that they take, which is examined.

    Raises:
        ModelError: the converter fails, or an operator has changed; it names the node.
    """
    opset = model.opset_imports.get("", 0)
    if opset < EXACT_OPSET:
        try:
            model = load(version_converter.convert_version(to_proto(model), EXACT_OPSET))
        except (RuntimeError, ValueError) as error:  # what the converter's C++ raises
            raise ModelError(
                f"the version converter cannot lift the model from opset {opset} to {EXACT_OPSET}: {error}", hint=_HINT
            ) from error
    for node in model.graph.all_nodes() if opset > NEWEST_OPSET else ():
        if not node.domain and _signature(node.op_type, opset) != _signature(node.op_type, NEWEST_OPSET):
            raise ModelError(
                f"the engine ort knows opset {NEWEST_OPSET}, and {node.op_type} is another operator at opset {opset}: "
                f"node {label(node)!r}",
                hint=_HINT,
            )
    model.opset_imports[""] = min(model.opset_imports[""], NEWEST_OPSET)
    model.ir_version = min(model.ir_version, NEWEST_IR)
    return model


def _signature(op_type: str, opset: int) -> Any:
    """All that an operator's schema says about calls, types aside; None where there is no such operator."""
    try:
        schema = defs.get_schema(op_type, opset, "")
    except defs.SchemaError:
        return None
    attributes = {name: (each.type, each.required, str(each.default_value)) for name, each in schema.attributes.items()}
    return attributes, [[(port.name, port.option) for port in ports] for ports in (schema.inputs, schema.outputs)]
