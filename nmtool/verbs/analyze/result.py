"""What an analysis found."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmtool.atomic import written_whole
from nmtool.errors import UsageError
from nmtool.verbs.analyze.information import Curve, Labels
from nmtool.verbs.analyze.layer_information import LayerBits
from nmtool.verbs.analyze.precision import Precision
from nmtool.verbs.analyze.profile import profile_text
from nmtool.verbs.analyze.sensitivity import Sensitivities
from nmtool.verbs.analyze.snr import Signal
from nmtool.verbs.sweep.statistics import Summary

JSON, POINTS, PROFILE = "analysis.json", "points.jsonl", "profile.toml"
"""Files in the folder of an analysis."""


@dataclass(frozen=True)
class Settings:
    """What was analysed, and how.

    Attributes:
        noise: the noise model and its parameters, as the model records them.
        eta: strength of the noise.
        seed: of the noise.
        trials: noise samples.
        metric: name of the metric.
        higher_is_better: its direction.
        samples: how many.
        data_digest: of the samples, labels and preparation.
        runtime: name and version.
        clean: the metric without noise.
        noisy: the metric with noise in all layers; None where no part measured it.
    """

    noise: Mapping[str, Any]
    eta: float
    seed: int
    trials: int
    metric: str
    higher_is_better: bool
    samples: int
    data_digest: str
    runtime: str
    clean: float
    noisy: Summary | None


@dataclass(frozen=True)
class Information:
    """Mutual information.

    Attributes:
        curves: of the decisions of each model.
        labels: bounds that the data sets.
        layers: of the first model.
    """

    curves: Sequence[Curve]
    labels: Labels
    layers: Sequence[LayerBits]


@dataclass(frozen=True)
class Analysis:
    """What an analysis found; parts that were not asked for are None.

    Attributes:
        name: of the model.
        path: of its file; None for a model from memory.
        digest: SHA-256 of the model, external data included.
        settings: what was analysed, and how.
        sensitivity: what the noise of each layer costs.
        snr: signal and noise at the output of each layer.
        information: bits that are left.
        precision: which layers to keep digital.
        notes: what was left out, and why.
    """

    name: str
    path: str | None
    digest: str
    settings: Settings
    sensitivity: Sensitivities | None
    snr: Sequence[Signal] | None
    information: Information | None
    precision: Precision | None
    notes: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON-serialisable values; docs/commands/analyze.md describes them."""
        from nmtool.verbs.analyze.document import document

        return document(self)

    def save(self, folder: str | os.PathLike[str], *, force: bool = False) -> list[Path]:
        """Write analysis.json, a table (CSV) and a plot (SVG) for each part, and the profile, into a folder.

        Args:
            folder: is made where it does not exist.
            force: overwrite files that exist.

        Returns:
            The files that were written.

        Raises:
            UsageError: a file exists and `force` is not given, or the folder cannot be written to.
            SetupError: matplotlib is not installed.
        """
        from nmtool.verbs.analyze.document import tables as tables_of
        from nmtool.verbs.analyze.plot import plots

        folder, drawn = Path(folder), plots(self)
        texts = {JSON: json.dumps(self.to_json(), indent=2) + "\n"}
        if self.precision is not None:
            texts[PROFILE] = self.profile()
        tables = {f"{name}.csv": rows for name, rows in tables_of(self.to_json()).items()}
        for path in (folder / name for name in (*texts, *tables, *drawn)):
            if path.exists() and not force:
                raise UsageError(f"the output exists: {path}", hint="write elsewhere, or overwrite it with --force")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with written_whole(folder / name) as staged:
                staged.write_text(text, encoding="utf-8")
        for name, rows in tables.items():
            with written_whole(folder / name) as staged, staged.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        for name, draw in drawn.items():
            draw(folder / name)
        return [folder / name for name in (*texts, *tables, *drawn)]

    def profile(self) -> str:
        """The advice as a hardware profile, in TOML.

        Raises:
            UsageError: the analysis has no advice.
        """
        advice = self.precision
        if advice is None:
            raise UsageError("the analysis has no advice", hint="ask for the part precision, with a gate")
        found = advice.confirmation
        held = "holds" if advice.met else "does not hold"
        interval = (
            "" if found is None or found.low is None else f": {found.mean:.4g} ({found.low:.4g} to {found.high:.4g})"
        )
        comments = [
            f"{self.name}: {advice.gate} {held} with noise that the search has not seen{interval}",
            f"nmtool inject {self.path or 'model.onnx'} --hardware {PROFILE} -o noisy.onnx",
        ]
        return profile_text(advice.profile, comments)
