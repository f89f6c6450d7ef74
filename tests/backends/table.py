"""Print the table of docs/backends.md: `python tests/backends/table.py [backend ...]`.

The models lie beside the repository.
"""

import logging
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import onnx_ir as ir

import nmtool
from nmtool import backends
from nmtool.errors import ModelError, NmtoolError
from nmtool.probe import random_inputs

MODELS = Path(__file__).parents[3] / "shared/models"
SHAPES = {  # where random ones do not fit
    "silero-vad-16k-op15": {"input": (1, 512), "state": (2, 1, 128)},
    "ppocr-cls-paddle-op10": {"x": (1, 3, 48, 192)},
    "yunet-n-dynamic": {"input": (1, 3, 64, 64)},
}
NOISE = {"noise_trial": np.array(7), "noise_scale": np.array(1, np.float32)}


def variants(name):
    """The clean model, a baked one, and one that draws its noise, with their inputs."""
    clean = nmtool.load(MODELS / f"{name}.onnx")
    feeds = random_inputs(clean)
    generator = np.random.default_rng(0)
    feeds |= {key: generator.standard_normal(shape, np.float32) for key, shape in SHAPES.get(name, {}).items()}
    if "sr" in feeds:
        feeds["sr"] = np.array(16000)
    yield "clean", clean, feeds
    try:
        noisy = nmtool.inject(clean, eta=0.02, opset=max(18, clean.opset_imports[""])).model
    except ModelError:  # nothing to make noisy
        return
    yield "baked", nmtool.bake(noisy, trial=7), feeds
    yield "fresh", noisy, feeds | NOISE


def compared(model):
    """Outputs to compare: floating point, and not random."""
    if any(node.op_type == "Multinomial" for node in model.graph.all_nodes()):
        return []
    return [v.name for v in model.graph.outputs if isinstance(v.type, ir.TensorType) and v.dtype.is_floating_point()]


def measure(backend, model, feeds):
    """The largest difference to ONNX Runtime: relative to the largest value of the output, and absolute."""
    runner = backends.load(model, backend)
    outputs = compared(model) or runner.outputs[:1]
    actual = runner.run(outputs, feeds)
    expected = backends.load(model, providers=["cpu"]).run(outputs, feeds)
    if not compared(model):
        return 0.0, 0.0
    differences = [float(np.abs(a - b).max()) for a, b in zip(actual, expected, strict=True)]
    sizes = [float(np.abs(b).max()) for b in expected]
    return max(d / s for d, s in zip(differences, sizes, strict=True)), max(differences)


def main():
    """Print a row for each backend, after what it says about the models that it does not run."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    names = sorted(path.stem for path in MODELS.glob("*.onnx"))
    for backend in sys.argv[1:] or backends.names():
        state = backends.availability(backend)
        if state.version is None:
            print(f"| {backend} | absent: {state.reason} |")
            continue
        found, counts, start = {}, {}, time.perf_counter()
        for name in names:
            for kind, model, feeds in variants(name):
                counts[kind] = counts.get(kind, 0) + 1
                try:
                    found.setdefault(kind, []).append((*measure(backend, model, feeds), name))
                except NmtoolError as error:
                    print(f"{backend}, {kind} {name}: {error.message}", file=sys.stderr)
        cells = [
            f"{len(found.get(kind, []))} of {count}"
            + "".join(
                f", {worst[0]:.0e} ({worst[2]}, absolute {worst[1]:.0e})" for worst in sorted(found.get(kind, []))[-1:]
            )
            for kind, count in counts.items()
        ]
        print("|", " | ".join([state.version, *cells, f"{time.perf_counter() - start:.0f} s"]), "|", flush=True)


if __name__ == "__main__":
    main()
