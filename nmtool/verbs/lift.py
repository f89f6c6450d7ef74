"""Lift a model to a higher opset, so that its noise is exact without the library."""

import numpy as np
import onnx
import onnx_ir as ir
from onnx import version_converter

from nmtool.errors import ModelError, SetupError, UsageError
from nmtool.model import load, to_proto
from nmtool.probe import random_inputs

_TOLERANCE = 1e-4
_CONVERTED_BYTES = 1024  # smaller arrays go through the converter, which reads some of them (axes, scales, shapes)
_RANDOM_OPS = ("RandomNormal", "RandomUniform", "Multinomial", "Bernoulli")


def lift(model: ir.Model, opset: int) -> tuple[ir.Model, list[str]]:
    """Convert a model to `opset` of ai.onnx with the official version converter, and compare the two.

    Returns:
        The lifted model, and notes for the report.

    Raises:
        UsageError: the opset is lower than the model's, or newer than the installed onnx knows.
        ModelError: the converter cannot convert the model, or the result computes something else.
    """
    current = model.opset_imports.get("", 0)
    newest = onnx.defs.onnx_opset_version()
    if not current <= opset <= newest:
        raise UsageError(f"--opset must be from {current} (the model's) to {newest}, not {opset}")
    if opset == current:
        return model, []
    if model.functions:
        domain, name, _ = next(iter(model.functions))
        raise ModelError(
            f"the version converter cannot lift model-local functions, such as {domain}::{name}",
            hint="inline them first (onnx.inliner), or inject the model as it is",
        )
    try:
        lifted = _convert(model, opset)
    except (RuntimeError, ValueError) as error:  # what the converter's C++ raises
        raise ModelError(
            f"the version converter cannot lift the model from opset {current} to {opset}: {error}",
            hint="export the model again at a higher opset, or inject it as it is",
        ) from error
    return lifted, [f"lifted from opset {current} to {opset}; {_compare(model, lifted)}"]


def _convert(model: ir.Model, opset: int) -> ir.Model:
    """Convert without the large arrays, then put them back, and the metadata that the converter drops."""
    bare = model.clone()
    taken: dict[str, ir.TensorProtocol] = {}
    inputs = {value.name for value in bare.graph.inputs}
    for name, value in list(bare.graph.initializers.items()):
        tensor = value.const_value
        if tensor is not None and (tensor.nbytes > _CONVERTED_BYTES or isinstance(tensor, ir.ExternalTensor)):
            taken[name] = tensor
            bare.graph.initializers.pop(name)
            if name not in inputs:
                bare.graph.inputs.append(value)
    lifted = load(version_converter.convert_version(to_proto(bare), opset))
    for value in list(lifted.graph.inputs):
        if value.name in taken:
            value.const_value = taken[value.name]
            lifted.graph.register_initializer(value)
            if value.name not in inputs:
                lifted.graph.inputs.remove(value)
    lifted.graph.metadata_props.update(model.graph.metadata_props)
    before = ir.convenience.create_value_mapping(model.graph)
    for name, value in ir.convenience.create_value_mapping(lifted.graph).items():
        if name in before:
            value.metadata_props.update(before[name].metadata_props)
            value.meta.update(before[name].meta)
            source, node = before[name].producer(), value.producer()
            if source is not None and node is not None:
                node.metadata_props.update(source.metadata_props)
    return lifted


def _compare(before: ir.Model, after: ir.Model) -> str:
    """Run both on random inputs; a statement for the report."""
    if any(node.op_type.startswith(_RANDOM_OPS) for node in before.graph.all_nodes()):
        return "not compared: the model draws random numbers"
    names = [value.name or "" for value in before.graph.outputs if value.dtype and value.dtype.is_floating_point()]
    try:
        from nmtool.backends import ort

        feeds = random_inputs(before)
        expected = ort.load(before, library=False).run(names, feeds)
    except (SetupError, ModelError) as error:
        return f"not compared: {error.message}"
    actual = ort.load(after, library=False).run(names, feeds)
    worst = 0.0
    for name, a, b in zip(names, expected, actual, strict=True):
        if a.shape != b.shape or not np.allclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
            raise ModelError(
                f"the version converter changed what the model computes: output {name!r}",
                hint="export the model again at a higher opset, or inject it as it is",
            )
        finite = np.isfinite(a)
        worst = max(worst, float(np.max(np.abs(a[finite] - b[finite]), initial=0)))
    return f"outputs on random inputs differ by at most {worst:.1e}"
