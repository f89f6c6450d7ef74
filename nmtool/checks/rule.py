"""A rule: a module of `nmtool/checks/rules/`, whose docstring is its page and whose file name has its code."""

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nmtool.checks.finding import Finding, Severity, not_checked
from nmtool.errors import ModelError, SetupError

if TYPE_CHECKING:
    from nmtool.checks.subject import Subject

Status: TypeAlias = "Severity | Literal['passed']"

_FOLDER = "nmtool.checks.rules"


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        code: stable, as NM001.
        title: what is true where it passes; the first line of its page.
        page: what it checks, why, and how to mend what it finds.
        check: yields its findings about a subject; none where there is nothing to say.
    """

    code: str
    title: str
    page: str
    check: "Callable[[Subject], Iterator[Finding]]"


@dataclass(frozen=True)
class Outcome:
    """What became of one rule.

    Attributes:
        code: of the rule.
        title: of the rule.
        findings: what it found, worst first.
    """

    code: str
    title: str
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """The worst of the findings; not checked only where nothing else was found either."""
        severities = {finding.severity for finding in self.findings}
        for severity in (Severity.ERROR, Severity.WARNING):
            if severity in severities:
                return severity
        return Severity.NOT_CHECKED if severities == {Severity.NOT_CHECKED} else "passed"

    def to_json(self) -> dict[str, Any]:
        """The outcome as a JSON-serializable dict."""
        findings = [{**vars(finding), "severity": str(finding.severity)} for finding in self.findings]
        return {"code": self.code, "title": self.title, "status": str(self.status), "findings": findings}


def load(module: str) -> Rule:
    """The rule in a module of the folder."""
    loaded = importlib.import_module(f"{_FOLDER}.{module}")
    page = inspect.cleandoc(loaded.__doc__ or "")
    return Rule(module[:5].upper(), page.splitlines()[0].removesuffix("."), page, loaded.check)


def apply(rule: Rule, subject: "Subject") -> Outcome:
    """What the rule finds; where the model is too broken for it, that it could not be checked."""
    findings: list[Finding] = []
    try:
        findings.extend(rule.check(subject))
    except (ModelError, SetupError) as failure:
        findings.append(not_checked(failure.message, failure.hint or ""))
    order = list(Severity)
    return Outcome(rule.code, rule.title, tuple(sorted(findings, key=lambda finding: order.index(finding.severity))))
