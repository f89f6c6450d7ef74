"""Applying rules in tests."""

from typing import Any

import onnx

from nmtool.checks.finding import Finding, Severity
from nmtool.checks.rule import Outcome, apply, load
from nmtool.checks.subject import Request, Subject


def outcome(module: str, model: onnx.ModelProto, **request: Any) -> Outcome:
    """What the rule of that module finds in a model."""
    return apply(load(module), Subject(Request(model, **request)))


def errors(found: Outcome) -> list[Finding]:
    return [finding for finding in found.findings if finding.severity == Severity.ERROR]


def warnings(found: Outcome) -> list[Finding]:
    return [finding for finding in found.findings if finding.severity == Severity.WARNING]


def messages(found: Outcome) -> str:
    return "\n".join(f"{finding.severity}: {finding.message}" for finding in found.findings)
