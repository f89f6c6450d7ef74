"""`nmtool bake`: one chip instance as a plain ONNX model."""

import math

import onnx_ir as ir

from nmtool import provenance
from nmtool.errors import ModelError, UsageError
from nmtool.hardware.units import seconds
from nmtool.model import ModelSource, load
from nmtool.passes.bake_noise import BakeNoise


def bake(
    model: ModelSource, *, trial: int = 0, scale: float = 1.0, run: int = 0, time: str | float | None = None
) -> ir.Model:
    """Freeze one sample of a noisy model's noise into its weights; standard operators only, for any framework.

    The result equals the noisy model run with `noise_trial = trial` and `noise_scale = scale` through the operator
    library, to the accuracy of docs/noise-spec.md.

    Args:
        model: a noisy model.
        trial: which sample, 0 <= trial < 2**32.
        scale: multiplies the noise, >= 0.
        run: which sample of what devices draw at every run, 0 <= run < 2**32.
        time: since programming, in seconds or as "1d"; None: the model's own.

    Raises:
        UsageError: trial, scale, run or time is out of range.
        ModelError: the model cannot be read, is not noisy, or has noise on activations below opset 18.
    """
    for name, sample in (("trial", trial), ("run", run)):
        if not 0 <= sample < 2**32:
            raise UsageError(f"{name} must be from 0 to 2**32 - 1, not {sample}")
    if not math.isfinite(scale) or scale < 0:
        raise UsageError(f"scale must be a finite number >= 0, not {scale}")
    since = None if time is None else seconds(time)
    noisy = load(model)
    record = provenance.read(noisy)
    if record is None:
        raise ModelError("the model is not noisy: it has no record of an injection", hint="`nmtool inject` makes one")
    if since is not None and record.time_input is None:
        raise UsageError("the model takes no time: it has no devices that drift", hint="see `nmtool list hardware`")
    baked = BakeNoise(trial, scale, run, since)(noisy).model
    facts = {"noise": record.noise, "seed": record.seed, "trial": trial, "scale": scale}
    facts |= {"run": run} if record.run_input else {}
    facts |= {"time": since} if record.time_input else {}
    baked.metadata_props.update(provenance.weights("bake", source_sha256=record.source_sha256, **facts))
    return baked
