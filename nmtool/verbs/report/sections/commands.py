"""The commands that made the results, to repeat them."""

import shlex

from nmtool.verbs.report.figures import last_part
from nmtool.verbs.report.section import Section
from nmtool.verbs.report.sources import Sources

_ORDER = ("inject", "clip", "calibrate", "calibrate-bn", "distill", "sweep", "analyze", "check")


def section(sources: Sources) -> Section | None:
    """Each command once, in the order in which one builds on another, and the results whose command is not known."""
    lines: dict[str, list[str]] = {}
    for document in sources.documents:
        if document.command_line:
            lines.setdefault(document.command_line, []).append(document.file)
    known = {last_part(word) for line in lines for word in _words(line)}
    made = [each.file for found in (sources.models, sources.results, sources.documents) for each in found]
    recorded = {file for files in lines.values() for file in files}
    unknown = [file for file in made if file not in recorded and last_part(file) not in known]
    commands = sorted(lines.items(), key=lambda each: (_place(each[0]), each[0]))
    return Section("commands", "Commands", {"commands": commands, "unknown": unknown}) if lines or unknown else None


def _place(line: str) -> int:
    verb = next(iter(_words(line)[1:]), "")
    return _ORDER.index(verb) if verb in _ORDER else len(_ORDER)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an open quote: not a line that a command recorded
        return line.split()
