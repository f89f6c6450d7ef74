"""Half precision widened to float32: what trains well, and what the noise is computed in."""

import numpy as np
import onnx_ir as ir

from nmtool.passes.graphs import graphs, sites

_NARROW = {ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
_NAME_A_TYPE = {"to", "dtype", "output_dtype", "output_datatype", "softmax_precision", "stash_type"}

_Attributes = dict[ir.OperatorIdentifier, set[str]]


def widen(model: ir.Model) -> ir.Model:
    """Turn float16 and bfloat16 into float32 everywhere in the model, which is changed and returned.

    That is in stored arrays, in the types of values, inputs and outputs, and in attributes that name a type (`to` of
    Cast), in subgraphs and functions too. Names stay. What the model computes differs by the rounding that is left out.
    """
    functions = _type_attributes(model)
    for graph, _ in graphs(model):
        for value in (*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)):
            _widen_value(value)
    for site in sites(model):
        for attribute in list(site.node.attributes.values()):
            names_type = attribute.name in _attributes_of(site.node, functions)
            site.node.attributes[attribute.name] = _widened(attribute, names_type)
    for identifier, function in model.functions.items():
        for name, attribute in list(function.attributes.items()):
            function.attributes[name] = _widened(attribute, name in functions[identifier])
    return model


def _widen_value(value: ir.Value) -> None:
    if value.const_value is not None and value.const_value.dtype in _NARROW:
        value.const_value = _widened_tensor(value.const_value)
    if value.dtype in _NARROW:
        value.dtype = ir.DataType.FLOAT


def _widened(attribute: ir.Attr, names_type: bool) -> ir.Attr:
    if attribute.is_ref():
        return attribute
    if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype in _NARROW:
        return ir.AttrTensor(attribute.name, _widened_tensor(attribute.as_tensor()))
    if names_type and attribute.type == ir.AttributeType.INT and ir.DataType(attribute.as_int()) in _NARROW:
        return ir.AttrInt64(attribute.name, int(ir.DataType.FLOAT))
    return attribute


def _widened_tensor(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    return ir.tensor(tensor.numpy().astype(np.float32), name=tensor.name)


def _attributes_of(node: ir.Node, functions: _Attributes) -> set[str]:
    """Names of the attributes of the node that name types."""
    if node.op_type == "BitCast" and not node.domain:
        return set()  # the bits of a float16 are no float32
    return functions.get(node.op_identifier(), _NAME_A_TYPE)


def _type_attributes(model: ir.Model) -> _Attributes:
    """Function -> its attributes that end as the name of a type, directly or in another function."""
    found: _Attributes = {identifier: set() for identifier in model.functions}
    before = -1
    while before < (before := sum(map(len, found.values()))):
        for site in sites(model):
            for attribute in site.node.attributes.values():
                outer = attribute.ref_attr_name if site.function is not None else None
                if outer is not None and attribute.name in _attributes_of(site.node, found):
                    assert site.function is not None
                    found[site.function.identifier()].add(outer)
    return found
