"""Entries of the navigation that end in a slash stand for every page of that folder."""

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Put the pages of a folder in its place, in order of their names."""
    config.nav = _expanded(config.nav, Path(config.docs_dir))
    return config


def _expanded(entries: list[Any], docs: Path) -> list[Any]:
    result: list[Any] = []
    for entry in entries:
        if isinstance(entry, str) and entry.endswith("/"):
            result += [{page.stem: entry + page.name} for page in sorted((docs / entry).glob("*.md"))]
        elif isinstance(entry, dict):
            result.append({k: _expanded(v, docs) if isinstance(v, list) else v for k, v in entry.items()})
        else:
            result.append(entry)
    return result
