"""What of each model is analog, and why the rest is not."""

from dataclasses import dataclass

from nmtool.checks.declared import declare
from nmtool.errors import NmtoolError
from nmtool.passes.report import CoverageReport
from nmtool.verbs.inject import inject
from nmtool.verbs.report.documents import Injected
from nmtool.verbs.report.figures import last_part, percent
from nmtool.verbs.report.section import Headline, Section
from nmtool.verbs.report.sources import ModelFile, Sources


@dataclass(frozen=True)
class Coverage:
    """Of one model.

    Attributes:
        file: the model, or the document that tells of it.
        noisy: whether the model has the noise; otherwise it is what `inject` would do by default.
        report: the coverage report; None where there is none.
        reason: why there is none, or "".
    """

    file: str
    noisy: bool
    report: CoverageReport | None
    reason: str = ""


def section(sources: Sources) -> Section | None:
    """The coverage report of every model, noisy ones first."""
    told = {last_part(content.output): content.report for _, content in sources.contents(Injected)}
    found = [_of_model(model, told.pop(last_part(model.file), None)) for model in sources.models]
    found += [Coverage(name, True, report) for name, report in told.items()]
    if not found:
        return None
    found.sort(key=lambda each: not each.noisy)
    headlines = [
        Headline("Analog", percent(each.report.weight_share), f"of the weights of {each.file}")
        for each in found
        if each.noisy and each.report is not None
    ]
    return Section("coverage", "Coverage", {"coverages": found}, headlines)


def _of_model(file: ModelFile, told: CoverageReport | None) -> Coverage:
    """Derived from the model; what inject told is taken where it is about the same nodes: it knows more reasons."""
    try:
        if file.provenance is None:
            return Coverage(file.file, False, inject(file.model).report)
        report = declare(file.model, file.provenance).coverage
    except NmtoolError as error:
        return Coverage(file.file, file.provenance is not None, None, error.message)
    same = told is not None and _statuses(told) == _statuses(report)
    return Coverage(file.file, True, told if same else report)


def _statuses(report: CoverageReport) -> list[tuple[str, str, str]]:
    return [(node.name, node.array, node.status) for node in report.nodes]
