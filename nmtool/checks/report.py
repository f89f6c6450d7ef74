"""The result of a check, as JSON and as JUnit XML."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from nmtool.atomic import written_whole
from nmtool.checks.finding import Finding, Severity
from nmtool.checks.rule import Outcome

_ELEMENTS: dict[str, str] = {Severity.ERROR: "failure", Severity.NOT_CHECKED: "skipped"}


@dataclass(frozen=True)
class Report:
    """What all rules found.

    Attributes:
        model: name of the model.
        facts: what was checked: digests, seed, versions.
        outcomes: one per rule, in the order of their codes.
    """

    model: str
    facts: Mapping[str, Any]
    outcomes: Sequence[Outcome]

    @property
    def passed(self) -> bool:
        """Whether no rule found an error."""
        return all(outcome.status != Severity.ERROR for outcome in self.outcomes)

    @property
    def findings(self) -> list[tuple[Outcome, Finding]]:
        """All findings with their rules, worst first."""
        order = list(Severity)
        found = [(outcome, finding) for outcome in self.outcomes for finding in outcome.findings]
        return sorted(found, key=lambda each: order.index(each[1].severity))

    def count(self, status: str) -> int:
        """How many rules have this status."""
        return sum(outcome.status == status for outcome in self.outcomes)

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON-serializable dict."""
        rules = [outcome.to_json() for outcome in self.outcomes]
        return {"model": self.model, "passed": self.passed, **self.facts, "rules": rules}

    def write_junit(self, path: str | os.PathLike[str]) -> None:
        """Write it as JUnit XML: a test case per rule; what could not be checked counts as skipped."""
        suite = ElementTree.Element(
            "testsuite",
            name=f"nmtool check {self.model}",
            tests=str(len(self.outcomes)),
            failures=str(self.count(Severity.ERROR)),
            skipped=str(self.count(Severity.NOT_CHECKED)),
            errors="0",
        )
        for outcome in self.outcomes:
            case = ElementTree.SubElement(suite, "testcase", classname="nmtool", name=f"{outcome.code} {outcome.title}")
            lines = [_line(finding) for finding in outcome.findings]
            if outcome.status in _ELEMENTS:
                ElementTree.SubElement(case, _ELEMENTS[outcome.status], message=lines[0]).text = "\n".join(lines)
            elif lines:
                ElementTree.SubElement(case, "system-out").text = "\n".join(lines)
        ElementTree.indent(suite)
        with written_whole(Path(path)) as staged:
            ElementTree.ElementTree(suite).write(staged, encoding="unicode", xml_declaration=True)


def _line(finding: Finding) -> str:
    return f"{finding.severity}: {finding.message}" + (f" ({finding.fix})" if finding.fix else "")
