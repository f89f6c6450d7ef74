"""Print the table of docs/torch.md: `python tests/interpreter/table.py`, with the models beside the repository."""

import numpy as np
import torch
from test_models import FIXED_BATCH, MODELS, call, convertible, joined, random_inputs, reference

import nmtool
from nmtool.interpreter import taps


def relative(got, expected):
    """Largest difference over the largest value."""
    pairs = list(zip(got, expected, strict=True))
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-12)) for a, b in pairs)


def main():
    print("| model | to ONNX Runtime | batch 3 to 3 x batch 1 | trained weights | with gradient | taps |")
    print("|---|---|---|---|---|---|")
    for name in convertible:
        session, module = reference(name), nmtool.to_torch(MODELS / f"{name}.onnx").eval()
        inputs = random_inputs(name, session, 0)
        feeds = {port.name: array for port, array in zip(session.get_inputs(), inputs, strict=True)}
        results = call(module, inputs)
        parity = relative([result.detach().numpy() for result in results], session.run(None, feeds))
        sum(result.sum() for result in results if result.requires_grad).backward()
        batch = "its batch is fixed"
        if name not in FIXED_BATCH:
            samples = [random_inputs(name, session, seed) for seed in range(3)]
            with torch.no_grad():
                many = [value.numpy() for value in call(module, joined(name, session.get_inputs(), samples))]
                single = [[value.numpy() for value in call(module, sample)] for sample in samples]
            batch = f"{relative(many, joined(name, session.get_outputs(), single)):.0e}"
        parameters = list(module.parameters())
        total = sum(parameter.numel() for parameter in parameters)
        reached = sum(parameter.numel() for parameter in parameters if parameter.grad is not None)
        cells = (name, f"{parity:.0e}", batch, f"{total:,}", f"{reached / total:.0%}", len(taps(module)))
        print("|", " | ".join(map(str, cells)), "|")


if __name__ == "__main__":
    main()
