"""ONNX's own test cases of single operators, collected without a network, and how to run them in torch."""

import functools
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
from onnx import numpy_helper

_TYPES = {"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"}


@dataclass(frozen=True)
class Case:
    """One model of a single node, with inputs and the outputs expected of it."""

    name: str
    opset: int
    model: onnx.ModelProto
    inputs: list[Any]
    expected: list[Any]
    rtol: float
    atol: float


@functools.cache
def cases() -> dict[tuple[str, str], list[Case]]:
    """(domain, operator) -> its cases."""
    from onnx.backend.test.loader import load_model_tests

    found: dict[tuple[str, str], list[Case]] = defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for test in load_model_tests(kind="node"):
            for number, (inputs, outputs) in enumerate(test.data_sets or ()):
                _add(found, f"{test.name}#{number}", test.model, inputs, outputs, test.rtol, test.atol)
    for folder in sorted((Path(onnx.backend.test.__file__).parent / "data/pytorch-operator").iterdir()):
        model = onnx.load(folder / "model.onnx")
        data = [sorted(folder.glob(f"test_data_set_0/{kind}_*.pb")) for kind in ("input", "output")]
        arrays = [[numpy_helper.to_array(onnx.load_tensor(path)) for path in paths] for paths in data]
        _add(found, folder.name, model, arrays[0], arrays[1], 1e-3, 1e-7)
    return found


def _add(
    found: dict[tuple[str, str], list[Case]],
    name: str,
    model: onnx.ModelProto,
    inputs: list[Any],
    outputs: list[Any],
    rtol: float,
    atol: float,
) -> None:
    inputs, outputs = _arrays(inputs), _arrays(outputs)
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    if len(nodes) == 1 and all(_has_torch_type(array) for array in (*inputs, *outputs)):
        (node,) = nodes
        opsets = {entry.domain: entry.version for entry in model.opset_import}
        found[node.domain, node.op_type].append(
            Case(name, opsets.get(node.domain, 1), model, inputs, outputs, rtol, max(atol, 1e-6))
        )


def _arrays(values: list[Any]) -> list[Any]:
    return [numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value for value in values]


def _has_torch_type(array: Any) -> bool:
    """Whether torch computes with the type: it only stores unsigned integers of more than 8 bits."""
    return isinstance(array, np.ndarray | np.generic) and array.dtype.name in _TYPES


def difference(case: Case) -> str | None:
    """What is wrong with the outputs that torch gives, or None."""
    import torch

    import nmtool

    module = nmtool.to_torch(case.model).eval()
    inputs = [torch.from_numpy(np.array(value)) for value in case.inputs]
    with torch.no_grad():
        result = module(*inputs)
    results = result if isinstance(result, tuple) else (result,)
    for got, expected in zip(results, case.expected, strict=True):
        array = got.numpy()
        if array.shape != np.shape(expected):
            return f"shape {array.shape} instead of {np.shape(expected)}"
        simulated = case.model.graph.node[0].op_type == "QuantizeLinear"  # codes as floating-point numbers
        if array.dtype != np.asarray(expected).dtype and not simulated:
            return f"type {array.dtype} instead of {np.asarray(expected).dtype}"
        if not np.allclose(
            array.astype(np.float64), np.asarray(expected, np.float64), case.rtol, case.atol, equal_nan=True
        ):
            return "values differ"
    return None
