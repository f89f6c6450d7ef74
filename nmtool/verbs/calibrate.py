"""`nmtool calibrate`: the ranges of an array's converters, from data."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmtool import backends
from nmtool.atomic import written_whole
from nmtool.data import DataOptions, DataSource
from nmtool.data import load as load_data
from nmtool.errors import ModelError, UsageError
from nmtool.hardware import Hardware, profile
from nmtool.model import ModelSource, digest, load
from nmtool.passes.inject_noise import require_clean
from nmtool.passes.range_probes import Probed, Side, probed_nodes, together, with_probes

Progress = Callable[[int, int], None]
"""Called with the batches done and all there are to do."""


@dataclass(frozen=True)
class Calibration:
    """The ranges of converters.

    Attributes:
        ranges: by node, then "input_range" or "output_range": numbers in units of the signal, or for each tile
            [groups, tiles, slices, 1].
        samples: how many were measured.
        model_sha256: digest of the model.
        data_sha256: digest of the data.
    """

    ranges: Mapping[str, Mapping[str, Any]]
    samples: int
    model_sha256: str
    data_sha256: str

    def to_toml(self) -> str:
        """The file that `--calibration` takes."""
        lines = [f"samples = {self.samples}", f'model_sha256 = "{self.model_sha256}"']
        lines += [f'data_sha256 = "{self.data_sha256}"']
        for node, ranges in self.ranges.items():
            lines += ["", f"[ranges.{json.dumps(node)}]", *(f"{key} = {json.dumps(x)}" for key, x in ranges.items())]
        return "\n".join(lines) + "\n"

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the file.

        Raises:
            UsageError: it exists, and `force` is not given, or it cannot be written.
        """
        if Path(path).exists() and not force:
            raise UsageError(f"{path} exists", hint="--force overwrites it")
        with written_whole(Path(path)) as staged:
            staged.write_text(self.to_toml(), encoding="utf-8")


def calibrate(
    model: ModelSource,
    data: DataSource,
    hardware: "str | os.PathLike[str] | Hardware",
    *,
    changes: Iterable[str] = (),
    data_options: DataOptions | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Find the ranges of the converters that the hardware calls calibrated.

    Input ranges are the largest |x| of a node's inputs in the clean model, or the mean over batches of a percentile of
    them (`percentile` of the converter). Output ranges are those of the partial sums of each tile, pass and slice, with
    inputs converted and weights exact. Everything is measured on the clean model, so the result depends on the data
    alone.

    Args:
        model: the clean model.
        data: samples of what it will see; labels are not needed.
        hardware: profile, by name, file or loaded.
        changes: values of it to set: see `nmtool.hardware.profile.load`.
        data_options: how to read and prepare the data.
        progress: called after every batch.

    Raises:
        UsageError: the data does not fit, or the hardware has no calibrated converter for this model.
        ModelError: the model is noisy, cannot be run, or a signal is 0 on all the data.
    """
    chosen = profile.load(hardware, changes)
    source = load(model)
    require_clean(source)
    nodes = probed_nodes(source, chosen)
    if not nodes:
        raise UsageError(
            "nothing to calibrate: the hardware has no calibrated converter for a node of this model",
            hint='range = "calibrated" in [periphery.input] or [periphery.output]',
        )
    runner = backends.load(source)
    dataset = load_data(data, list(runner.inputs.values()), data_options or DataOptions())
    total, done = 2 * len(dataset), 0
    ranges: dict[str, dict[str, Any]] = {probed.name: {} for probed in nodes}
    sides: tuple[Side, ...] = ("input_range", "output_range")
    for side in sides:
        inputs = {name: float(each["input_range"]) for name, each in ranges.items() if "input_range" in each}
        proto, outputs = with_probes(source, nodes, side, inputs)
        measured: dict[str, list[NDArray[np.float32]]] = {name: [] for name in outputs}
        probing = backends.load(proto) if outputs else None
        for batch in dataset:
            if probing is not None:
                results = probing.run(list(outputs.values()), batch.feeds)
                for name, result in zip(outputs, results, strict=True):
                    measured[name].append(result)
            done += 1
            if progress is not None:
                progress(done, total)
        for probed in nodes:
            if probed.name in measured:
                ranges[probed.name][side] = _range(probed, side, measured[probed.name])
    return Calibration(ranges, dataset.count, digest(model), dataset.digest())


def _range(probed: Probed, side: Side, measured: list[NDArray[np.float32]]) -> Any:
    converter = probed.converter(side)
    assert converter is not None
    found = together(iter(measured), converter)
    if not np.isfinite(found).all() or not found.max() > 0:
        raise ModelError(
            f"{side} of node {probed.name!r} is {found.max()} on this data", hint="calibrate on samples that reach it"
        )
    return np.maximum(found, found.max() * 1e-6).tolist()  # a tile that has seen nothing gets a range all the same
