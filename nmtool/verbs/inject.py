"""`nmtool inject`: put analog noise on a model's weights."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from nmtool import provenance
from nmtool.errors import ModelError, UsageError
from nmtool.hardware import AnalogNoise, resolved
from nmtool.model import ModelSource, digest, load, save
from nmtool.noise.base import parameters
from nmtool.ops import EXACT_OPSET, RUN, SCALE, TIME, TRIAL
from nmtool.passes.inject_noise import InjectNoise, opset_of, require_clean
from nmtool.passes.report import CoverageReport
from nmtool.passes.selection import Selection
from nmtool.verbs.lift import lift


@dataclass(frozen=True)
class Injection:
    """A noisy model and what became of each of its nodes.

    Attributes:
        model: the noisy model.
        report: the coverage report.
    """

    model: ir.Model
    report: CoverageReport

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> list[Path]:
        """Write the model; see nmtool.save."""
        return save(self.model, path, force=force)


def inject(
    model: ModelSource,
    *,
    noise: str | AnalogNoise = "gaussian",
    eta: float | None = None,
    relative_to: Literal["range", "max", "std"] | None = None,
    per_channel: bool = False,
    seed: int = 0,
    drawn: Literal["run", "chip"] = "run",
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    include_ops: Sequence[str] = (),
    exclude_ops: Sequence[str] = (),
    skip_first: int = 0,
    skip_last: int = 0,
    dynamic: bool = False,
    opset: int | None = None,
    fresh: bool = False,
) -> Injection:
    """Rewrite the matrix products of a model so that their weights carry analog noise.

    The result has two more inputs, with defaults: `noise_trial` (int64, 0: which noise sample) and `noise_scale`
    (float, 1: multiplies the noise; 0 is the clean model).

    Args:
        model: path, ModelProto or ir.Model; never changed.
        noise: name of a noise model or device (with `eta` and `relative_to` as its parameters), noise with its
            parameters, or hardware.
        eta: strength of the noise, without unit; for `gaussian`, sigma relative to `relative_to`, by default 0.05; for
            devices a factor of all their deviations, by default 1.
        relative_to: what eta of `gaussian` is relative to: "range" (max W - min W, the default), "max" (max |W|) or
            "std".
        per_channel: take that unit from each output channel instead of the whole array.
        seed: 64-bit seed of all the noise of the model.
        drawn: "run" (new noise each inference) or "chip" (one draw per chip); recorded, `run` and `sweep` read it.
        include: name globs; when given, only analog nodes that match are made noisy.
        exclude: name globs of nodes to keep digital.
        include_ops: operator types; when given, only these.
        exclude_ops: operator types to keep digital.
        skip_first: number of first analog nodes to keep digital.
        skip_last: number of last analog nodes to keep digital.
        dynamic: also make the right operand of products of two activations noisy, sized at run time.
        opset: lift the model to this opset of ai.onnx first.
        fresh: take the trial from random operators in the model, so that every run is new without feeding anything.

    Raises:
        UsageError: a parameter is out of range, or a pattern matches nothing.
        ModelError: the model cannot be read or handled, is noisy already, or has nothing to make noisy.
    """
    chosen = resolved(noise, eta, relative_to)
    if drawn not in ("run", "chip"):
        raise UsageError(f"drawn must be run or chip, not {drawn!r}")
    if fresh and drawn == "chip":
        raise UsageError("fresh noise at every run contradicts noise drawn once per chip", hint="drop one of the two")
    with ThreadPoolExecutor(1) as pool:  # hashing a large file takes as long as reading it
        source_sha256 = pool.submit(digest, model)
        source = load(model)
    require_clean(source)
    notes: list[str] = []
    if opset is not None:
        source, notes = lift(source, opset)
    source_ir_version, source_opsets = source.ir_version, dict(source.opset_imports)
    selection = Selection(include, exclude, include_ops, exclude_ops, skip_first, skip_last)
    injector = InjectNoise(
        chosen, seed=seed, selection=selection, per_channel=per_channel, dynamic=dynamic, fresh=fresh
    )
    result = injector(source)
    report = injector.report
    if not result.modified:
        raise ModelError(f"nothing to make noisy: {report.why_nothing}", hint="see `nmtool list ops`")
    exact = opset_of(result.model) >= EXACT_OPSET
    report.notes += notes
    if not exact:
        report.notes.append(
            f"opset {opset_of(result.model)} is below {EXACT_OPSET}: without the operator library the noise has the "
            "right distribution but not the specified values, and the trial has no effect (--opset 18 lifts the model)"
        )
    record = provenance.Provenance(
        version=version("nmtool"),
        noise=parameters(chosen) | {"per_channel": per_channel, "dynamic": dynamic},
        seed=seed,
        drawn=drawn,
        fresh=fresh,
        exact=exact,
        trial_input=injector.inputs.get(TRIAL, ""),
        scale_input=injector.inputs.get(SCALE, ""),
        run_input=injector.inputs.get(RUN),
        time_input=injector.inputs.get(TIME),
        source_sha256=source_sha256.result(),
        source_ir_version=source_ir_version,
        source_opsets=source_opsets,
    )
    provenance.write(result.model, record)
    return Injection(result.model, report)
