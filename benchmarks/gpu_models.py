"""What noise costs a whole model on a GPU: runs with fresh noise in every weight, in times of the clean model.

    python benchmarks/gpu_models.py [--pairs 30] [--provider cuda] [--json results.json]

The model is the ResNet-50 topology of networks.py. Its BatchNormalization is folded into the weights first (by ONNX
Runtime's basic optimizations), in all rows alike, so that the ratio is the cost of the noise and not that of a fold
which noise in front of the weights prevents. The input stays on the GPU, the output comes to the host; the trial is a
new number at every run. `library` runs the noise in the operator library, `RandomNormalLike` on ONNX Runtime's own
random operator.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import onnx
import onnxruntime
from machine import machine

import nmtool


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model after ONNX Runtime's basic optimizations, which are written in standard operators."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = f"{folder}/folded.onnx"
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def runner(session: onnxruntime.InferenceSession, x: np.ndarray, device: str) -> Callable[[int], float]:
    """Runs once with a given trial, and returns the seconds it took."""
    feeds = {session.get_inputs()[0].name: onnxruntime.OrtValue.ortvalue_from_numpy(x, device, 0)}
    noisy = any(value.name == "noise_trial" for value in session.get_overridable_initializers())

    def run(trial: int) -> float:
        if noisy:
            feeds["noise_trial"] = onnxruntime.OrtValue.ortvalue_from_numpy(np.array(trial))
        start = time.perf_counter()
        session.run_with_ort_values(None, feeds)
        return time.perf_counter() - start

    return run


def measure(model: onnx.ModelProto, batch: int, pairs: int, provider: str) -> dict[str, float]:
    noisy = nmtool.inject(model, eta=0.05).model
    providers = [provider, "cpu"] if provider != "cpu" else ["cpu"]
    sessions = {
        "clean": nmtool.session(model, providers=providers),
        "library": nmtool.session(noisy, providers=providers),
        "RandomNormalLike": nmtool.session(noisy, providers=providers, library=False),
    }
    x = np.random.default_rng(1).standard_normal((batch, 3, 224, 224)).astype(np.float32)
    runs = {name: runner(session, x, provider) for name, session in sessions.items()}
    rows = [{name: run(trial) for name, run in runs.items()} for trial in range(pairs + 5)][5:]
    result = {name: statistics.median(row[name] / row["clean"] for row in rows) for name in runs}
    return result | {"clean_ms": 1e3 * statistics.median(row["clean"] for row in rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--provider", default="cuda", help="cpu only shows that the script works")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.provider == "cuda" and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        print("no GPU to measure: this onnxruntime has no CUDA provider (pip install 'nmtool[gpu]')")
        return
    model = folded(networks.resnet50())
    print(f"{machine('onnxruntime-gpu' if arguments.provider == 'cuda' else 'onnxruntime')}; {arguments.provider}")
    print(f"{'batch':>5} {'clean ms':>9} {'library':>8} {'RandomNormalLike':>17}")
    results = []
    for batch in (1, 8, 32):
        row = measure(model, batch, arguments.pairs, arguments.provider)
        results.append({"batch": batch, **row})
        print(
            f"{batch:>5} {row['clean_ms']:>9.3f} {row['library']:>7.3f}x {row['RandomNormalLike']:>16.3f}x", flush=True
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
