"""`nmtool report`: one self-contained HTML page of what is in a folder."""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmtool.atomic import written_whole
from nmtool.errors import SetupError, UsageError
from nmtool.verbs.report import figures
from nmtool.verbs.report.section import Section
from nmtool.verbs.report.sections import (
    checks,
    commands,
    coverage,
    information,
    models,
    precision,
    provenance,
    sensitivity,
    signal,
    sweeps,
    training,
    unread,
)
from nmtool.verbs.report.sources import Sources, Unread, find

_TEMPLATES = Path(__file__).parent / "templates"
_FUNCTIONS = (figures.count, figures.figure, figures.percent, figures.short)


@dataclass(frozen=True)
class Page:
    """A page that was written.

    Attributes:
        path: the file.
        sections: titles of its sections.
        unread: files of the folder that it does not show, and why.
    """

    path: Path
    sections: Sequence[str]
    unread: Sequence[Unread]


def report(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    title: str | None = None,
    drop: float = 0.01,
    force: bool = False,
) -> Page:
    """Write one HTML page of all results in a folder: models, sweeps, analyses, trainings, checks.

    The page needs no network and no script. Equal folders give equal pages, to the byte.

    Args:
        folder: where the results are, with its subfolders.
        output: the HTML file to write.
        title: heading of the page; None: the name of the folder.
        drop: loss that defines the tolerance eta* of sweeps, in units of the metric.
        force: overwrite the output.

    Raises:
        UsageError: there is no such folder, it holds nothing that the page could show, or the output is in the way.
        SetupError: jinja2 is not installed.
    """
    output = Path(output)
    if output.exists() and not force:
        raise UsageError(f"the output exists: {output}", hint="write elsewhere, or overwrite it with --force")
    if not drop >= 0:
        raise UsageError(f"drop must not be negative: {drop}")
    sources = find(Path(folder), output)
    sections = _sections(sources, drop)
    if not {section.name for section in sections} - {unread.NAME}:
        raise UsageError(
            f"nothing to report in {folder}: no model, and no results of nmtool",
            hint="write them there: sweep --results, check --json FILE, and --record FILE of any command",
        )
    text = _rendered(title or sources.name, sections)
    with written_whole(output) as staged:
        staged.write_text(text, encoding="utf-8", newline="\n")
    return Page(output, [section.title for section in sections], sources.unread)


def _sections(sources: Sources, drop: float) -> list[Section]:
    """Those that have anything to show, in the order of the page."""
    makers = (
        functools.partial(sweeps.section, drop=drop),
        models.section,
        coverage.section,
        sensitivity.section,
        signal.section,
        information.section,
        precision.section,
        training.section,
        checks.section,
        provenance.section,
        commands.section,
        unread.section,
    )
    return [section for section in (make(sources) for make in makers) if section is not None]


def _rendered(title: str, sections: Sequence[Section]) -> str:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise SetupError("a report needs jinja2", hint="pip install 'nmtool[report]'") from error
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {function.__name__: function for function in _FUNCTIONS}
    headlines = [headline for section in sections for headline in section.headlines]
    return environment.get_template("page.html").render(title=title, sections=sections, headlines=headlines)
