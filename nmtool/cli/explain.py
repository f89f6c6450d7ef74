"""`nmtool explain`."""

from typing import Annotated

import typer

from nmtool.cli.command import command, examples
from nmtool.cli.output import Output, table
from nmtool.errors import UsageError

EXAMPLES = examples("nmtool explain", "nmtool explain NM001")


@command
def explain(
    out: Output,
    code: Annotated[str | None, typer.Argument(help="Code of a rule", show_default="list them all")] = None,
) -> None:
    """Say what a rule of `nmtool check` looks at, why, and how to mend what it finds."""
    from nmtool.checks import rule as rules
    from nmtool.checks.rules import RULES

    known = [rules.load(name) for name in RULES]
    if code is None:
        out.result({rule.code: rule.title for rule in known}, lambda: _list({rule.code: rule.title for rule in known}))
        return
    for rule in known:
        if rule.code == code.upper():
            page = rule.page
            out.result({"code": rule.code, "title": rule.title, "page": page}, lambda: print(f"{code.upper()}: {page}"))
            return
    raise UsageError(f"no rule has the code {code!r}", hint="`nmtool explain` lists them")


def _list(titles: dict[str, str]) -> None:
    table(("rule", "what is true where it passes"), titles.items())
