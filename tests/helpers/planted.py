"""Noisy models that are wrong in a known way, and what a rule says of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from build import model, weights
from nmtool import provenance
from nmtool.checks.rule import Outcome
from nmtool.verbs.inject import inject


def said(result: Outcome, severity: str = "error") -> list[str]:
    """The messages of the findings of one severity; every finding but a note has a fix."""
    assert all(finding.fix for finding in result.findings if finding.severity in ("error", "warning"))
    return [finding.message for finding in result.findings if finding.severity == severity]


def two_layers(opset: int = 18) -> onnx.ModelProto:
    """A model with two arrays and 6 outputs per sample."""
    text = "g (float[n,8] x) => (float[n,6] y) { h = MatMul(x, v) r = Relu(h) y = Gemm(r, w) }"
    return model(text, opset=opset, v=weights(8, 16), w=weights(16, 6))


def noisy(proto: onnx.ModelProto, **options: Any) -> onnx.ModelProto:
    """The model with noise."""
    return ir.to_proto(inject(proto, **options).model)


def stored(proto: onnx.ModelProto, name: str) -> onnx.TensorProto:
    """An initializer."""
    return next(tensor for tensor in proto.graph.initializer if tensor.name == name)


def change(proto: onnx.ModelProto, name: str, new: Callable[[np.ndarray], Any]) -> onnx.ModelProto:
    """The model with other values in an initializer."""
    tensor = stored(proto, name)
    values = onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(new(values), values.dtype), name))
    return proto


def set_attribute(node: onnx.NodeProto, name: str, value: int) -> None:
    """Set an integer attribute."""
    next(attribute for attribute in node.attribute if attribute.name == name).i = value


def calls(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes of domain nmtool in the graph."""
    return [node for node in proto.graph.node if node.domain == "nmtool"]


def body(proto: onnx.ModelProto, name: str) -> onnx.FunctionProto:
    """A function of domain nmtool."""
    return next(function for function in proto.functions if function.domain == "nmtool" and function.name == name)


def record(proto: onnx.ModelProto, **fields: Any) -> onnx.ModelProto:
    """The model with another record."""
    edited = ir.from_proto(proto)
    old = provenance.read(edited)
    assert old is not None
    noise = {**old.noise, **fields.pop("noise", {})}
    provenance.write(edited, provenance.Provenance(**{**vars(old), **fields, "noise": noise}))
    return ir.to_proto(edited)


def louder(function: onnx.FunctionProto) -> None:
    """Give the body of GaussianNoise 5 % more sigma."""
    multiply = next(node for node in function.node if "sigma" in node.output)
    multiply.output[0] = "small"
    at = list(function.node).index(multiply)
    function.node.insert(at + 1, onnx.helper.make_node("Mul", ["small", "factor"], ["sigma"]))
    function.node.insert(0, onnx.helper.make_node("Constant", [], ["factor"], value_float=1.05))
