"""`nmtool run`: a model's outputs for given inputs."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nmtool import backends
from nmtool.backends import Array
from nmtool.data import DataOptions, DataSource
from nmtool.data import load as load_data
from nmtool.errors import ModelError, UsageError
from nmtool.hardware.units import seconds
from nmtool.model import ModelSource
from nmtool.verbs.noisy import NoisyRunner


def run(
    model: ModelSource,
    inputs: DataSource,
    *,
    trial: int = 0,
    scale: float = 1.0,
    run: int = 0,
    time: str | float | None = None,
    backend: str = "onnxruntime",
    batch_size: int | None = None,
    outputs: Sequence[str] | None = None,
    data_options: DataOptions | None = None,
    **backend_options: Any,
) -> dict[str, Array]:
    """Run a model, noisy or not, over inputs.

    In a model whose noise is drawn at every inference (`drawn` is "run") batch b of the data has the noise of
    `trial + b`; where it is drawn once per chip every batch has that of `trial`.

    Args:
        model: path, ModelProto or ir.Model.
        inputs: arrays by input name, one array for a model with one input, or any other data source.
        trial: which noise sample, modulo 2**32.
        scale: multiplies the noise; 0 is the clean model.
        run: which sample of what devices draw at every run; batch b of the data has sample `run + b`.
        time: since programming, in seconds or as "1d", for devices that drift; None: the model's own.
        backend: one of `nmtool.backends.names()`.
        batch_size: samples per run; None: all in one run for arrays, 64 for other sources. A model with a fixed batch
            dimension runs with that one.
        outputs: names of the wanted outputs; None: all.
        data_options: how to read and prepare the data.
        backend_options: of the backend, for onnxruntime those of `nmtool.session`, such as `custom_ops`.

    Returns:
        The outputs by name, those of the batches joined along the first axis.

    Raises:
        UsageError: the data or an option does not fit the model.
        ModelError: the model cannot be loaded or fails.
    """
    noisy = NoisyRunner(backends.load(model, backend, **backend_options))
    if not noisy.takes_trial and trial != 0:
        raise UsageError("the model takes no trial: it has no noise, or draws it by itself")
    if noisy.provenance is None and scale != 1.0:
        raise UsageError("the model has no noise to scale", hint="make it noisy with `nmtool inject`")
    since = None if time is None else seconds(time)
    if since is not None and not noisy.takes_time:
        raise UsageError("the model takes no time: it has no devices that drift", hint="see `nmtool list hardware`")
    wanted = list(noisy.runner.outputs) if outputs is None else [noisy.output(name) for name in outputs]
    options = data_options or DataOptions()
    if batch_size is not None:
        options = replace(options, batch_size=batch_size)
    elif not isinstance(inputs, (str, os.PathLike)) and not callable(inputs):
        options = replace(options, batch_size=sys.maxsize)
    step = 1 if noisy.provenance is not None and noisy.provenance.drawn == "run" else 0
    parts: list[list[Array]] = []
    for index, batch in enumerate(load_data(inputs, noisy.ports, options)):
        results = noisy.run(wanted, batch.feeds, trial + step * index, scale, run=run + index, time=since)
        parts.append([batch.cut(result) for result in results])
    return {name: _join(name, each) for name, each in zip(wanted, zip(*parts, strict=True), strict=True)}


def _join(name: str, parts: Sequence[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    try:
        return np.concatenate(parts) if parts[0].ndim else np.stack(parts)
    except ValueError as error:
        shapes = sorted({str(list(part.shape)) for part in parts})
        raise ModelError(
            f"output {name!r} has other dimensions from batch to batch: {', '.join(shapes)}",
            hint="run the samples one by one, or choose other outputs",
        ) from error
