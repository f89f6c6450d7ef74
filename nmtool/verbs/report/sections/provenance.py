"""Where everything is from: digests, seeds, settings and versions."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nmtool.verbs.report.section import Section
from nmtool.verbs.report.sources import ModelFile, Sources
from nmtool.verbs.sweep.store import Record


def section(sources: Sources) -> Section | None:
    """What models, results and analyses say about how they were made."""
    by_digest = {model.sha256: model.file for model in sources.models}
    entries = [(model.file, list(_of_model(model, by_digest))) for model in sources.models]
    entries += [(results.file, list(_of_points(results.points))) for results in sources.results]
    entries += [(each.file, list(_flat(_settings(each.content)))) for each in sources.documents]
    shown = [(file, facts) for file, facts in entries if facts]
    return Section("provenance", "Provenance", {"entries": shown}) if shown else None


def _of_model(model: ModelFile, by_digest: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield "SHA-256", model.sha256
    if model.provenance is not None:
        record = vars(model.provenance)
        source = record["source_sha256"]
        yield "injected into", by_digest.get(source, source)
        names = ("version", "noise", "seed", "drawn", "fresh", "exact")
        yield from _flat({name: record[name] for name in names})
    if model.weights is not None:
        yield from _flat(model.weights)


def _of_points(points: tuple[Record, ...]) -> Iterator[tuple[str, str]]:
    """The settings of each model, and how it was measured."""
    facts: dict[str, list[str]] = {}
    for record in points:
        measured = {"nmtool": record.nmtool, "runtime": record.runtime, "library": record.library}
        for name, value in _flat({**vars(record.setting), **measured}):
            facts.setdefault(name, [])
            if value not in facts[name]:
                facts[name].append(value)
    yield "points", str(len(points))
    yield from ((name, ", ".join(values)) for name, values in facts.items())


def _settings(content: Any) -> Mapping[str, Any]:
    """What of a document says how it was made."""
    names = ("model_sha256", "against_sha256", "alpha", "seed")
    facts = {name: getattr(content, name) for name in names if getattr(content, name, None) is not None}
    if hasattr(content, "settings"):
        facts |= {"model": content.model.name, "model_sha256": content.model.digest}
        settings = vars(content.settings)
        facts |= {name: settings[name] for name in ("noise", "eta", "seed", "trials", "metric", "samples")}
        facts |= {"notes": "; ".join(content.notes)}
    return facts


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names with dots for nested tables, and values as text."""
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        elif value not in (None, "", [], {}):
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)
