"""`nmtool report`."""

from pathlib import Path
from typing import Annotated

import typer

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.options import Option
from nmtool.cli.output import Output, refuse_overwriting, table

EXAMPLES = examples(
    "nmtool report . -o report.html",
    "nmtool report . -o study.html --title 'The digits' --drop 0.02 --json",
)


@command
def report(
    out: Output,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with results", show_default=False)],
    output: Annotated[Path, Option("--output", "-o", metavar="FILE", help="HTML file to write", show_default=False)],
    title: Annotated[
        str | None, Option(metavar="TEXT", help="Heading of the page", show_default="name of the folder")
    ] = None,
    drop: Annotated[
        float, Option(metavar="X", help="Loss that defines the tolerance eta*, in units of the metric")
    ] = 0.01,
    force: options.Force = False,
) -> None:
    """Write one self-contained HTML page of all results in a folder."""
    import nmtool

    refuse_overwriting([output], force)
    page = nmtool.report(folder, output, title=title, drop=drop, force=force)
    unread = [(each.file, each.reason) for each in page.unread]
    document = {"output": str(output), "sections": page.sections, "unread": [vars(each) for each in page.unread]}
    out.result(document, lambda: table(("not shown", "why"), unread) if unread else None)
    out.note(f"wrote: {output}")
