"""What checks found."""

from collections import Counter
from typing import Any

from nmtool.verbs.report.documents import Checked
from nmtool.verbs.report.section import Headline, Section
from nmtool.verbs.report.sources import Sources

_STATUSES = ("passed", "warning", "error", "not checked")
_ORDER = ("error", "warning", "not checked", "note")


def section(sources: Sources) -> Section | None:
    """The findings of each check, worst first, then the rules that passed."""
    checks = [_check(file.file, content) for file, content in sources.contents(Checked)]
    if not checks:
        return None
    headlines = [
        Headline(
            "Check",
            "passed" if each["content"].passed else "failed",
            f"{each['content'].model}: {each['tally']}",
            "good" if each["content"].passed else "bad",
        )
        for each in checks
    ]
    return Section("checks", "Checks", {"checks": checks}, headlines)


def _check(file: str, content: Checked) -> dict[str, Any]:
    found = [(rule, finding) for rule in content.rules for finding in rule.findings]
    found.sort(key=lambda each: _ORDER.index(each[1].severity))
    counts = Counter[str](rule.status for rule in content.rules)
    tally = ", ".join(f"{counts[status]} {status}" for status in _STATUSES if counts[status])
    silent = [rule for rule in content.rules if not rule.findings]
    return {"file": file, "content": content, "findings": found, "silent": silent, "tally": tally}
