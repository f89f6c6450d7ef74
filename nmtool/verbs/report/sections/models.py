"""The models: what they take, what they return, and what became of them."""

from typing import Any

import onnx_ir as ir

from nmtool.model import initializer_tensors
from nmtool.passes.graphs import sites
from nmtool.verbs.report.figures import count, short
from nmtool.verbs.report.section import Section
from nmtool.verbs.report.sources import ModelFile, Sources


def section(sources: Sources) -> Section | None:
    """A row for each model."""
    if not sources.models:
        return None
    return Section("models", "Models", {"rows": [_row(model) for model in sources.models]})


def _row(file: ModelFile) -> dict[str, Any]:
    model = file.model
    opsets = {domain or "ai.onnx": version for domain, version in model.opset_imports.items()}
    return {
        "file": file.file,
        "kind": _kind(file),
        "inputs": [_described(value) for value in model.graph.inputs if not value.is_initializer()],
        "outputs": [_described(value) for value in model.graph.outputs],
        "nodes": count(sum(site.function is None for site in sites(model))),
        "parameters": count(sum(tensor.size for tensor in initializer_tensors(model))),
        "opsets": ", ".join(f"{domain} {version}" for domain, version in opsets.items()),
        "producer": " ".join(filter(None, (model.producer_name, model.producer_version))),
        "sha256": short(file.sha256),
    }


def _kind(file: ModelFile) -> str:
    """What nmtool did to the model, as far as it says so itself."""
    verb = f"weights by {file.weights.get('verb')}" if file.weights is not None else ""
    return ", ".join(filter(None, (verb, "noisy" if file.provenance else ""))) or "as it was given"


def _described(value: ir.Value) -> str:
    """Name, type and shape."""
    dtype = value.dtype.name.lower() if value.dtype is not None else ""
    shape = "" if value.shape is None else f"[{', '.join(map(_dimension, value.shape))}]"
    return f"{value.name}: {dtype}{shape}"


def _dimension(dimension: int | ir.SymbolicDim) -> str:
    return str(dimension) if isinstance(dimension, int) else dimension.value or "?"
