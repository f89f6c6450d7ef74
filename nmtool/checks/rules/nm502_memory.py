"""What the noise costs in memory, on every backend.

The peak memory of loading and running the noisy model as a ratio to that of the clean one. Each is measured in a fresh
process on the same samples, above what the process needs for a model of one node, so the figures hold weights,
activations and the runtime's arenas.

Nothing fails here: the noise is a simulation, and the deployed model has none.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from nmtool.checks.engines import present
from nmtool.checks.finding import NO_NOISE, Finding, not_checked, note
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError
from nmtool.model import save

_SECONDS = 120


def check(subject: Subject) -> Iterator[Finding]:
    """Measure both models."""
    if sys.platform != "linux":
        yield not_checked("peak memory is measured on Linux only")
        return
    if subject.noisy is None:
        yield NO_NOISE
        return
    with TemporaryDirectory(prefix="nmtool-") as name:
        folder = Path(name)
        np.savez(folder / "feeds.npz", **dict(subject.feeds))  # type: ignore[arg-type]  # numpy has it wrong
        for variant, model in (("clean", subject.clean), ("noisy", subject.noisy)):
            (folder / variant).mkdir()
            save(model, folder / variant / "model.onnx")
        for backend in present(subject):
            try:
                clean, noisy = (_peak(subject, backend, folder, variant) for variant in ("clean", "noisy"))
            except ModelError as failure:
                yield not_checked(f"{backend}: {failure.message}", backend=backend)
                continue
            ratio = noisy / clean if clean else float("nan")
            said = f"{backend}: {clean / 1e6:.1f} MB clean, {noisy / 1e6:.1f} MB noisy, {ratio:.2f}x"
            yield note(said, backend=backend, clean_bytes=clean, noisy_bytes=noisy, ratio=ratio)


def _peak(subject: Subject, backend: str, folder: Path, variant: str) -> int:
    """Bytes.

    Raises:
        ModelError: the process failed or took too long.
    """
    arguments = [backend, folder / variant / "model.onnx", folder / "feeds.npz", subject.request.device]
    arguments += subject.request.custom_ops
    command = [sys.executable, "-m", "nmtool.checks.peak", *map(str, arguments)]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as expired:
        raise ModelError(f"not done after {_SECONDS} seconds") from expired
    if process.returncode:
        raise ModelError((process.stderr.strip().splitlines() or ["the process ended"])[-1])
    return int(process.stdout)
