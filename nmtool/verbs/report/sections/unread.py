"""Files that the page does not show, and why."""

from nmtool.verbs.report.section import Section
from nmtool.verbs.report.sources import Sources, Unread

NAME = "unread"
_MOST = 5  # files of a kind in one folder that are listed one by one


def section(sources: Sources) -> Section | None:
    """Each file; where a folder has many of a kind, how many."""
    groups: dict[tuple[str, str, str], list[Unread]] = {}
    for each in sources.unread:
        folder, _, name = each.file.rpartition("/")
        groups.setdefault((folder, name.rpartition(".")[2], each.reason), []).append(each)
    rows = []
    for (folder, suffix, reason), files in groups.items():
        if len(files) <= _MOST:
            rows += files
        else:
            rows.append(Unread(f"{len(files):,} files {f'{folder}/' if folder else ''}*.{suffix}", reason))
    return Section(NAME, "Not shown", {"rows": rows}) if rows else None
