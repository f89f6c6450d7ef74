"""An analysis as JSON and as tables; docs/commands/analyze.md describes the keys."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nmtool.verbs.analyze.information import Curve
from nmtool.verbs.analyze.precision import Precision
from nmtool.verbs.analyze.result import PROFILE, Analysis, Information
from nmtool.verbs.sweep.statistics import Summary

Rows = list[dict[str, Any]]


def document(analysis: Analysis) -> dict[str, Any]:
    """The analysis as JSON-serialisable values."""
    settings = asdict(analysis.settings) | {"noisy": summary(analysis.settings.noisy)}
    made: dict[str, Any] = {
        "schema": "nmtool.analysis/1",
        "nmtool": importlib.metadata.version("nmtool"),
        "model": {"name": analysis.name, "path": analysis.path, "digest": analysis.digest},
        "settings": {name: value for name, value in settings.items() if name != "noisy" or value is not None},
        "notes": list(analysis.notes),
    }
    if analysis.sensitivity is not None:
        made["sensitivity"] = [
            {
                "layer": row.layer.node,
                "array": row.layer.array,
                "only": summary(row.only),
                "all_but": summary(row.all_but),
                "gradient": row.gradient,
                "rank": row.rank,
                "macs": row.layer.macs,
                "weights": row.layer.weights,
            }
            for row in analysis.sensitivity.layers
        ]
        made["gradient_rank_correlation"] = analysis.sensitivity.rank_correlation
    if analysis.snr is not None:
        fields = ("propagated_db", "injected_db", "propagated_bits", "injected_bits")
        made["snr"] = [{"layer": row.node, **{name: getattr(row, name) for name in fields}} for row in analysis.snr]
    if analysis.information is not None:
        made["information"] = _information(analysis.information)
    if analysis.precision is not None:
        made["precision"] = _precision(analysis.precision)
    return made


def summary(found: Summary | None) -> dict[str, Any] | None:
    """Mean and interval of a metric."""
    if found is None:
        return None
    return {"mean": found.mean, "low": found.low, "high": found.high, "trials": found.trials}


def tables(made: Mapping[str, Any]) -> dict[str, Rows]:
    """The parts of the document as rows of a table, by name; those without rows are left out."""
    information, advice = made.get("information", {}), made.get("precision", {})
    found = {
        "sensitivity": [_flat(row) for row in made.get("sensitivity", [])],
        "snr": list(made.get("snr", [])),
        "information": [{"model": m["name"], **row} for m in information.get("models", []) for row in m["curve"]],
        "layers": list(information.get("layers", [])),
        "precision": [_flat(row | {"layers": " ".join(row["layers"])}) for row in advice.get("steps", [])],
    }
    return {name: rows for name, rows in found.items() if rows}


def _information(information: Information) -> dict[str, Any]:
    return {
        "models": [{"name": curve.name, "curve": _curve(curve)} for curve in information.curves],
        "convergence": [
            {
                "name": curve.name,
                "eta": curve.points[-1].eta,
                "draws": [
                    {"trials": trials, "plugin_bits": bits.plugin_bits, "read_bits": bits.bits}
                    for trials, bits in curve.convergence.items()
                ],
            }
            for curve in information.curves
        ],
        "layers": [
            {
                "layer": row.node,
                "infonce_bits": row.infonce,
                "linear_low_bits": row.linear_low,
                "linear_high_bits": row.linear_high,
            }
            for row in information.layers
        ],
        "label_entropy_bits": information.labels.entropy,
        "input_bits": information.labels.input_bits,
    }


def _curve(curve: Curve) -> Rows:
    return [
        {
            "eta": point.eta,
            "read_bits": point.read,
            "chip_bits": point.chip,
            "label_bits": point.label,
            "label_chip_bits": point.label_chip,
            "low": point.low,
            "high": point.high,
            "accuracy": point.accuracy,
            "trials": point.trials,
        }
        for point in curve.points
    ]


def _precision(advice: Precision) -> dict[str, Any]:
    return {
        "gate": str(advice.gate),
        "cost": advice.cost,
        "met": advice.met,
        "digital": list(advice.digital),
        "steps": [
            {
                "layers": list(step.layers),
                "action": step.action,
                "metric": summary(step.metric),
                "mac_share_analog": step.mac_share,
                "weight_share_analog": step.weight_share,
            }
            for step in advice.steps
        ],
        "confirmation": summary(advice.confirmation),
        "profile": PROFILE,
    }


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a metric as columns of their own."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("only", "all_but", "metric"):
            each: Mapping[str, Any] = value or dict.fromkeys(("mean", "low", "high", "trials"))
            flat |= {f"{name}_{field}": number for field, number in each.items()}
        else:
            flat[name] = value
    return flat
