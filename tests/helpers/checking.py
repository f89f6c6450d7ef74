"""Applying rules in tests."""

from typing import Any

import onnx

import nmtool
from nmtool.checks.finding import Finding, Severity
from nmtool.checks.rule import Outcome, apply, load
from nmtool.checks.subject import Request, Subject
from nmtool.reimport import Source


def outcome(module: str, model: onnx.ModelProto, **request: Any) -> Outcome:
    """What the rule of that module finds in a model."""
    return apply(load(module), Subject(Request(model, **request)))


def errors(found: Outcome) -> list[Finding]:
    return [finding for finding in found.findings if finding.severity == Severity.ERROR]


def warnings(found: Outcome) -> list[Finding]:
    return [finding for finding in found.findings if finding.severity == Severity.WARNING]


def messages(found: Outcome) -> str:
    return "\n".join(f"{finding.severity}: {finding.message}" for finding in found.findings)


def findings(model: Source, code: str, **options: Any) -> list[tuple[str, str]]:
    """Severity and message of what `nmtool check` finds by one rule, notes left out."""
    (found,) = nmtool.check(model, select=[code], **options).outcomes
    return [(str(each.severity), each.message) for each in found.findings if each.severity != Severity.NOTE]


def status(model: Source, code: str, **options: Any) -> str:
    """Status of one rule in `nmtool check`."""
    (found,) = nmtool.check(model, select=[code], **options).outcomes
    return str(found.status)
