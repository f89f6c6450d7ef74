"""The measured devices against aihwkit, the library whose fits they take: means and standard deviations.

    python benchmarks/devices.py [--devices 1000000] [--source aihwkit-1.2.0/src]

Of aihwkit only its modules inference/noise and inference/converter are loaded, which are Python and torch: its source
package is enough, unpacked, without the C++ extension that the rest needs. Says so where there is none. Exit code 1
when a figure is more than six standard errors off.
"""

import argparse
import math
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from machine import machine
from numpy.typing import NDArray

from nmtool.noise.device import Device
from nmtool.noise.devices.hermes import Hermes
from nmtool.noise.devices.pcm import Pcm
from nmtool.noise.devices.reram_cmo import ReramCmo
from nmtool.noise.devices.reram_wan import ReramWan
from nmtool.noise.numpy_chip import NumpyChip

HOUR, DAY, YEAR = 3600.0, 86400.0, 3.156e7
TARGETS = (0.02, 0.1, 0.3, 0.6, 1.0)


def noise_models_alone(source: Path | None) -> Path | None:
    """Make aihwkit.inference.noise importable without what the packages above it import."""
    if source is None:
        spec = find_spec("aihwkit")  # does not import it
        folder = Path(spec.origin).parent if spec and spec.origin else None
    else:
        folder = source / "aihwkit"
    if folder is None or not folder.is_dir():
        return None
    for name in ("aihwkit", "aihwkit.inference", "aihwkit.inference.noise", "aihwkit.inference.converter"):
        package = ModuleType(name)
        package.__path__ = [str(folder.parent / name.replace(".", "/"))]
        sys.modules[name] = package
    return folder


def ours(device: Device, target: float, time: float, count: int, stage: str) -> NDArray[Any]:
    chip = NumpyChip(1, 2, time=time)
    wanted = np.full(count, target, np.float32)
    g = device.program(wanted, chip)
    if stage != "programmed":
        g = device.read(device.drift(g, wanted, chip), wanted, chip)
    return np.asarray(g)


def theirs(model: Any, target: float, time: float, count: int, stage: str) -> NDArray[Any]:
    import torch

    lowest = getattr(model, "g_min", 0.0)
    wanted = torch.full((count,), lowest + target * (model.g_max - lowest))
    g = model.apply_programming_noise_to_conductance(wanted)
    if stage != "programmed":
        g = model.apply_drift_noise_to_conductance(g, model.generate_drift_coefficients(wanted), time)
    return np.asarray((g - lowest) / (model.g_max - lowest))


def cases() -> Iterator[tuple[str, Device, Any, str, tuple[float, ...]]]:
    from aihwkit.inference.noise.hermes import HermesNoiseModel
    from aihwkit.inference.noise.pcm import PCMLikeNoiseModel
    from aihwkit.inference.noise.reram import ReRamCMONoiseModel, ReRamWan2022NoiseModel

    later, exact, silent = (0.0, HOUR, DAY, YEAR), {"prog_noise_scale": 0.0}, {"read_noise_scale": 0.0}
    for parallel in (1, 2):
        name, fit = f"hermes, {parallel} in parallel", {"num_devices": parallel}
        yield name, Hermes(parallel=parallel), HermesNoiseModel(**fit), "programmed", (0.0,)
        yield name, Hermes(parallel=parallel, reading=0), HermesNoiseModel(**fit, **silent), "drifted", later
        yield name, Hermes(parallel=parallel, programming=0), HermesNoiseModel(**fit, **exact), "read", later
    yield "pcm", Pcm(), PCMLikeNoiseModel(), "programmed", (0.0,)
    yield "pcm", Pcm(reading=0), PCMLikeNoiseModel(**silent), "drifted", later
    yield "pcm", Pcm(programming=0), PCMLikeNoiseModel(**exact), "read", later
    yield "reram-wan", ReramWan(), ReRamWan2022NoiseModel(g_max=40.0), "drifted", (1.0, DAY, 2 * DAY)
    for acceptance in (0.2, 2):
        name, limits = f"reram-cmo, {acceptance} %", {"acceptance_range": acceptance}
        device = ReramCmo(acceptance=acceptance)
        yield name, device, ReRamCMONoiseModel(**limits), "programmed", (0.0,)
        yield (
            name,
            ReramCmo(acceptance=acceptance, reading=0),
            ReRamCMONoiseModel(**limits, **silent),
            "drifted",
            later[1:],
        )
        yield name, device, ReRamCMONoiseModel(**limits), "read", later[1:]


def moments(samples: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Mean, standard deviation, and their standard errors."""
    x = samples.astype(np.float64)
    centred = x - x.mean()
    variance = float(np.mean(centred**2))
    std, fourth = math.sqrt(variance), float(np.mean(centred**4))
    error = math.sqrt(max(fourth - variance**2, 0) / x.size) / (2 * std) if std else 0.0
    return float(x.mean()), std, std / math.sqrt(x.size), error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000, help="samples of each figure")
    parser.add_argument("--source", type=Path, help="folder that holds aihwkit, where it is not installed")
    arguments = parser.parse_args()
    count = arguments.devices
    folder = noise_models_alone(arguments.source)
    if folder is None or not find_spec("torch"):
        print("skipped: aihwkit and torch are needed (pip download --no-deps --no-binary :all: aihwkit==1.2.0)")
        return 0
    import torch

    print(machine("torch"))
    torch.manual_seed(0)
    version = (folder / "VERSION.txt").read_text().strip()
    print(f"aihwkit {version}, torch {torch.__version__}, {count} devices each; in units of g_max")
    print("| device | stage | seconds | g | mean | aihwkit | std | aihwkit | standard errors off |")
    print("|---|---|---|---|---|---|---|---|---|")
    worst = 0.0
    for name, device, model, stage, times in cases():
        for time in times:
            for target in TARGETS:
                own = moments(ours(device, target, time, count, stage))
                other = moments(theirs(model, target, time, count, stage))
                off = max(abs(own[k] - other[k]) / (math.hypot(own[k + 2], other[k + 2]) + 1e-7 / 6) for k in (0, 1))
                worst = max(worst, off)
                figures = " | ".join(f"{figure:.5f}" for k in (0, 1) for figure in (own[k], other[k]))
                print(f"| {name} | {stage} | {time:g} | {target} | {figures} | {off:.1f} |")
    print(f"worst: {worst:.1f} standard errors")
    return int(worst > 6)


if __name__ == "__main__":
    sys.exit(main())
