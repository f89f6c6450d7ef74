"""Defaults for options from a TOML file: a table per command, and [data] for the commands that read data.

The keys are the names of the options, taken from the commands themselves. Precedence: command line, environment
(NMTOOL_<COMMAND>_<OPTION>), file, built-in default; typer resolves it once the file is its `default_map`.
"""

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from nmtool.errors import UsageError
from nmtool.table import to_toml

DATA = "data"  # the table, and the help panel that marks the options which it may set
_NEVER = {"config", "print_config", "help"}


def load(ctx: typer.Context, path: Path | None) -> Path | None:
    """Make the values of the file the defaults of the command that is being run (a callback of --config)."""
    if path is not None:
        tables = _read(path)
        commands: dict[str, Any] = ctx.find_root().command.commands  # type: ignore[attr-defined]
        known = {name: _options(command) for name, command in commands.items()}
        known[DATA] = {n: o for options in known.values() for n, o in options.items() if o.rich_help_panel == DATA}
        _check(path, tables, known)
        mine = known[ctx.command.name or ""]
        values = {n: v for n, v in tables.get(DATA, {}).items() if n in mine} | tables.get(ctx.command.name or "", {})
        ctx.default_map = {name: _as_typed(value, mine[name]) for name, value in values.items()}
    return path


def merged(ctx: typer.Context) -> str:
    """Every option's value as TOML that `load` reads back; options without a value are left out."""
    values = {name: ctx.params[name] for name in _options(ctx.command) if name in ctx.params}
    lines = [f"{name} = {to_toml(value)}" for name, value in values.items() if value not in (None, [], ())]
    return "\n".join([f"[{ctx.command.name}]", *lines]) + "\n"


def _options(command: Any) -> dict[str, Any]:
    return {option.name: option for option in command.params if option.name not in _NEVER}


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read configuration {path}: {error}") from error
    if stray := [key for key, value in content.items() if not isinstance(value, dict)]:
        raise UsageError(f"key outside of a table in {path}: {stray[0]}", hint="put it below a line such as [sweep]")
    return {name: {key.replace("-", "_"): v for key, v in table.items()} for name, table in content.items()}


def _check(path: Path, tables: dict[str, dict[str, Any]], known: dict[str, dict[str, Any]]) -> None:
    for name, table in tables.items():
        if name not in known:
            raise UsageError(f"unknown table in {path}: [{name}]", hint=_suggestion(name, known))
        for key in table:
            if key not in known[name]:
                raise UsageError(f"unknown key in [{name}] of {path}: {key}", hint=_suggestion(key, known[name]))


def _suggestion(word: str, candidates: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, candidates, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(candidates)}"


def _as_typed(value: Any, option: Any) -> Any:
    """The value as it would be typed on the command line, so that typer checks both alike."""
    if isinstance(value, bool):
        return value
    words = [str(word) for word in value] if isinstance(value, list) else [str(value)]
    takes_many = getattr(option, "multiple", False) or option.nargs == -1
    return words if takes_many else ",".join(words)
