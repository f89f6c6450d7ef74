"""An analysis of a model with three layers, in the form that docs/commands/analyze.md has."""

from typing import Any


def estimate(mean: float, half: float = 0.01) -> dict[str, Any]:
    return {"mean": mean, "low": mean - half, "high": mean + half, "trials": 5}


LAYERS = ("first", "second", "third")

ANALYSIS: dict[str, Any] = {
    "schema": "nmtool.analysis/1",
    "nmtool": "0.1.0",
    "model": {"name": "digits", "path": "digits.onnx", "digest": "ab" * 32},
    "settings": {
        "noise": {"model": "gaussian", "eta": 1.0, "relative_to": "range"},
        "eta": 0.1,
        "seed": 0,
        "trials": 5,
        "metric": "top1",
        "higher_is_better": True,
        "samples": 100,
        "data_digest": "cd" * 32,
        "runtime": "onnxruntime 1.32.0",
        "clean": 0.98,
        "noisy": estimate(0.5),
    },
    "notes": ["all_but of third was left out: the budget"],
    "sensitivity": [
        {
            "layer": layer,
            "array": f"{layer}.weight",
            "only": estimate(0.98 - loss),
            "all_but": None if layer == "third" else estimate(0.6),
            "gradient": None if layer == "third" else 10 * loss,
            "rank": rank,
            "macs": None,
            "weights": 100 * rank,
        }
        for rank, (layer, loss) in enumerate(zip(LAYERS, (0.3125, 0.125, -0.015625), strict=True), start=1)
    ],
    "gradient_rank_correlation": None,
    "snr": [
        {"layer": layer, "propagated_db": db, "injected_db": None, "propagated_bits": db / 6, "injected_bits": None}
        for layer, db in zip(LAYERS, (20.5, 10.25, -2.5), strict=True)
    ],
    "information": {
        "models": [
            {
                "name": name,
                "curve": [
                    {
                        "eta": eta,
                        "read_bits": bits - eta * slope,
                        "chip_bits": bits,
                        "label_bits": None,
                        "label_chip_bits": 2.5 - eta,
                        "low": bits - eta * slope - 0.1,
                        "high": bits - eta * slope + 0.1,
                        "accuracy": None,
                        "trials": 10,
                    }
                    for eta in (0.0, 0.05, 0.1)
                ],
            }
            for name, bits, slope in (("clean", 3.25, 20.0), ("distilled", 3.125, 5.0))
        ],
        "convergence": [
            {
                "name": "clean",
                "eta": 0.1,
                "draws": [
                    {"trials": trials, "plugin_bits": 2.0 + 1 / trials, "read_bits": 1.75} for trials in (4, 8, 10)
                ],
            }
        ],
        "layers": [{"layer": "first", "infonce_bits": 4.5, "linear_low_bits": 4.0, "linear_high_bits": 5.0}],
        "label_entropy_bits": 3.3219,
        "input_bits": 6.6,
    },
    "precision": {
        "gate": "top1>=0.9",
        "cost": "macs",
        "met": True,
        "digital": ["first"],
        "steps": [
            {
                "layers": [],
                "action": "start",
                "metric": estimate(0.5),
                "mac_share_analog": 1.0,
                "weight_share_analog": 1.0,
            },
            {
                "layers": ["first"],
                "action": "digital",
                "metric": estimate(0.9375),
                "mac_share_analog": 0.75,
                "weight_share_analog": 0.5,
            },
        ],
        "confirmation": estimate(0.93),
        "profile": "profile.toml",
    },
}
