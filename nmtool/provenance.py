"""What a model says about itself, in its metadata: how it was made noisy, and how its weights came about."""

import dataclasses
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import onnx_ir as ir

from nmtool.errors import ModelError
from nmtool.ops import LAYERS, RUN, SCALE, TIME, TRIAL

_KEY = "nmtool.provenance"
_WEIGHTS = "nmtool.weights"
_COMPILED = "nmtool.compiled"


@dataclasses.dataclass(frozen=True)
class Provenance:
    """How a model was made noisy.

    Attributes:
        version: version of nmtool that injected the noise.
        noise: the noise model and its parameters, with at least "model" and "eta".
        seed: 64-bit seed.
        drawn: "run" (new noise each inference) or "chip" (one draw per chip).
        fresh: the trial comes from a random operator inside the model, not from an input.
        exact: without the library the values are the specified ones (False: only in distribution).
        trial_input: name of the graph input that selects the noise sample; unused when fresh.
        scale_input: name of the graph input that multiplies the noise.
        source_sha256: digest of the source model's file (of its serialized graph when it came from memory).
        source_ir_version: IR version of the source model.
        source_opsets: opset imports of the source model.
        run_input: name of the graph input that selects the sample of what is drawn at every run, if anything is.
        time_input: name of the graph input for the seconds since programming, where devices drift.
        layers_input: name of the graph input with a factor on the noise of each array, in models that are analysed.
    """

    version: str
    noise: dict[str, Any]
    seed: int
    drawn: str
    fresh: bool
    exact: bool
    trial_input: str
    scale_input: str
    source_sha256: str
    source_ir_version: int
    source_opsets: dict[str, int]
    run_input: str | None = None
    time_input: str | None = None
    layers_input: str | None = None

    @property
    def inputs(self) -> dict[str, str]:
        """Names of the run-time inputs by kind (`nmtool.ops`)."""
        names = {
            TRIAL: self.trial_input,
            SCALE: self.scale_input,
            RUN: self.run_input,
            TIME: self.time_input,
            LAYERS: self.layers_input,
        }
        return {kind: name for kind, name in names.items() if name}

    @property
    def drawn_inside(self) -> str | None:
        """The kind of sample that a random operator of the model draws, or None."""
        return (RUN if self.run_input else TRIAL) if self.fresh else None

    @property
    def eta(self) -> float:
        """Strength of the noise at scale 1."""
        return float(self.noise["eta"])


def read(model: ir.Model) -> Provenance | None:
    """The model's provenance, or None when nmtool did not make it noisy.

    Raises:
        ModelError: the record is there but cannot be understood, or the model is compiled: not to be changed any more.
    """
    if (machine := compiled_for(model.metadata_props)) is not None:
        raise ModelError(f"the model is compiled for {machine}", hint="give the noisy model that it was compiled from")
    return from_metadata(model.metadata_props)


def from_metadata(metadata_props: Mapping[str, str]) -> Provenance | None:
    """As `read`, from the metadata alone: what a runtime keeps of a model."""
    if _KEY not in metadata_props:
        return None
    try:
        return Provenance(**json.loads(metadata_props[_KEY]))
    except (json.JSONDecodeError, TypeError) as error:
        raise ModelError(
            f"metadata `{_KEY}` of the model cannot be read: {error}", hint="inject the source model again"
        ) from error


def write(model: ir.Model, provenance: Provenance) -> None:
    """Record the provenance in the model's metadata."""
    model.metadata_props[_KEY] = json.dumps(dataclasses.asdict(provenance), sort_keys=True)


def remove(model: ir.Model) -> None:
    """Remove the record, if any."""
    model.metadata_props.pop(_KEY, None)


def compiled_for(metadata_props: Mapping[str, str]) -> str | None:
    """The runtime and machine that `nmtool compile` made the model for, or None."""
    return metadata_props.get(_COMPILED)


def write_compiled(model: ir.Model, machine: str) -> None:
    """Record in the model's metadata what it is compiled for."""
    model.metadata_props[_COMPILED] = machine


def weights(verb: str, *packages: str, **facts: Any) -> dict[str, str]:
    """The entry of a model's metadata that says how its weights came about.

    Args:
        verb: what made them.
        packages: whose versions matter, besides nmtool's.
        facts: JSON-serializable: settings, seed, digests of model and data, results.
    """
    versions = {package: version(package) for package in ("nmtool", *packages)}
    return {_WEIGHTS: json.dumps({"verb": verb, "versions": versions, **facts}, sort_keys=True)}


def read_weights(model: ir.Model) -> dict[str, Any] | None:
    """What the model says about how its weights came about, or None.

    Raises:
        ModelError: it cannot be understood.
    """
    if _WEIGHTS not in model.metadata_props:
        return None
    try:
        return dict(json.loads(model.metadata_props[_WEIGHTS]))
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise ModelError(f"metadata `{_WEIGHTS}` of the model cannot be read: {error}") from error
