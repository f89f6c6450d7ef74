"""What a rule says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_BRIEF = 200  # characters


class Severity(StrEnum):
    """How bad a finding is, worst first."""

    ERROR = "error"
    WARNING = "warning"
    NOT_CHECKED = "not checked"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that a rule found.

    Attributes:
        severity: an error fails the check; a note says what was measured.
        message: one line, lower case, no full stop; it names the node, value or backend.
        fix: what the user can do about it, or "".
        facts: what was measured, JSON-serializable.
    """

    severity: Severity
    message: str
    fix: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def brief(message: str) -> str:
    """A message of a runtime as part of a line: its first line, and not more than 200 characters of that."""
    first = message.splitlines()[0]
    return first if len(first) <= _BRIEF else first[: _BRIEF - 1] + "…"


def error(message: str, fix: str, **facts: Any) -> Finding:
    """The model is not fit to ship."""
    return Finding(Severity.ERROR, message, fix, facts)


def warning(message: str, fix: str, **facts: Any) -> Finding:
    """It may be fit to ship, but someone should look."""
    return Finding(Severity.WARNING, message, fix, facts)


def not_checked(message: str, fix: str = "", **facts: Any) -> Finding:
    """Something that was to be checked could not be; it has not passed."""
    return Finding(Severity.NOT_CHECKED, message, fix, facts)


def note(message: str, **facts: Any) -> Finding:
    """Something was checked, and this is what was measured."""
    return Finding(Severity.NOTE, message, "", facts)


NO_NOISE = not_checked("the model has no noise", "inject some with --eta")
