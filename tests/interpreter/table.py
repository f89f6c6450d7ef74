"""Print the table of docs/torch.md: `python tests/interpreter/table.py`, with the models beside the repository."""

import logging
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import numpy as np
import onnx
from light import LIGHT, light
from networks import NETWORKS, NEWEST, build, export, sample
from parity import Figures, concatenated, measure
from test_light import SHAPE
from test_models import FIXED_BATCH, MODELS, convertible, joined, random_inputs, reference


def files():
    """The models beside the repository."""
    for name in convertible:
        session = reference(name)
        samples = [random_inputs(name, session, seed) for seed in range(3)]
        joins = [None, None]
        if name not in FIXED_BATCH:
            joins = [partial(joined, name, ports) for ports in (session.get_inputs(), session.get_outputs())]
        yield name, measure(onnx.load(MODELS / f"{name}.onnx"), samples, *joins)


def zoo():
    """The light zoo of onnx."""
    samples = [[np.random.default_rng(seed).random(SHAPE, np.float32)] for seed in range(3)]
    for name in LIGHT:
        yield f"{name} (random weights)", measure(light(name), samples, concatenated, concatenated)


def exports():
    """What torch's exporters write of small networks, the worst of all opsets."""
    for name in NETWORKS:
        samples = [[sample(name, 1, seed).numpy()] for seed in range(3)]
        for exporter, opsets in (("tracing", (13, 17, 20)), ("dynamo", (18, 20, 23, NEWEST))):
            written = [opset for opset in opsets if opset > 13 or name not in ("Vit", "Gpt")]
            protos = [export(build(name), sample(name, 1), opset, dynamo=exporter == "dynamo") for opset in written]
            found = [measure(proto, samples, concatenated, concatenated) for proto in protos]
            worst = Figures(
                max(figures.parity for figures in found),
                max(figures.batch for figures in found),
                found[-1].weights,
                min(figures.share for figures in found),
                found[-1].taps,
            )
            yield f"{name}, {exporter}, opsets {', '.join(map(str, written))}", worst


def main():
    """Print the rows as they come."""
    logging.disable(logging.WARNING)  # the exporter's
    print("| model | to ONNX Runtime | batch 3 to 3 x batch 1 | trained weights | with gradient | taps |")
    print("|---|---|---|---|---|---|")
    for part in (files, zoo, exports):
        for name, figures in part():
            print("|", " | ".join([name, *figures.cells()]), "|", flush=True)


if __name__ == "__main__":
    main()
