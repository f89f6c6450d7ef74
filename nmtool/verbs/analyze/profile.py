"""A hardware profile that keeps some layers digital."""

import copy
import glob
from collections.abc import Mapping, Sequence
from typing import Any

from nmtool.errors import UsageError
from nmtool.hardware import Hardware
from nmtool.noise.cell import Cell
from nmtool.table import to_key, to_toml
from nmtool.verbs.analyze.subject import Subject

_PLACEMENT = ("per_channel", "dynamic", "eta")  # entries of a record that are not the noise itself


def require_profile(subject: Subject) -> None:
    """Refuse noise that no profile can describe, before anything is measured.

    Raises:
        UsageError: it is sized by each channel, or hardware at another strength than its own.
    """
    noise = subject.noisy.provenance.noise
    if noise.get("per_channel"):
        raise UsageError(
            "advice is a hardware profile, which has no noise models sized per channel",
            hint='leave out --per-channel, or use cells with scale = "channel"',
        )
    if noise["model"] == Hardware.name and subject.eta != Hardware.eta:
        raise UsageError(f"advice is for hardware as it is, not at strength {subject.eta:g}", hint="leave out --eta")


def profile(subject: Subject, digital: Sequence[str], description: str) -> dict[str, Any]:
    """The table of a profile: the noise of the model, without the nodes that are digital.

    Args:
        subject: the model.
        digital: names of nodes to keep digital, besides those that are not noisy in the model.
        description: of the profile.
    """
    noise = subject.noisy.provenance.noise
    if noise["model"] == Hardware.name:
        table: dict[str, Any] = copy.deepcopy(dict(noise["table"]))
    else:
        settings = {key: value for key, value in noise.items() if key not in _PLACEMENT}
        if noise["model"] == Cell.name:
            del settings["model"]
        table = {"weights": settings | {"eta": subject.eta}}
    noisy = {node for layer in subject.layers for node in layer.nodes}
    kept = [row.name for row in subject.coverage.nodes if row.status == "noisy" and row.name not in noisy]
    given = dict(table.get("digital", {}))
    nodes = given.get("nodes", [])
    named = [*([nodes] if isinstance(nodes, str) else nodes), *map(glob.escape, dict.fromkeys([*kept, *digital]))]
    if named:
        table["digital"] = given | {"nodes": named}
    return {**table, "description": description}


def profile_text(table: Mapping[str, Any], comments: Sequence[str]) -> str:
    """The profile as a TOML file; texts and numbers first, as TOML wants it."""
    lines = [f"# {comment}" for comment in comments]
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines += [f"{key} = {to_toml(value)}" for key, value in plain.items()]
    for key, section in table.items():
        if isinstance(section, Mapping):
            lines += ["", f"[{key}]"]
            lines += [f"{to_key(name)} = {to_toml(value)}" for name, value in section.items() if value is not None]
    return "\n".join(lines) + "\n"
