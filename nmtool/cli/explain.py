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

    known = {rule.code: rule for rule in map(rules.load, RULES)}
    if code is None:
        titles = {code: rule.title for code, rule in known.items()}
        out.result(titles, lambda: table(("rule", "what is true where it passes"), titles.items()))
        return
    rule = known.get(code.upper())
    if rule is None:
        raise UsageError(f"no rule has the code {code!r}", hint="`nmtool explain` lists them")
    out.result({"code": rule.code, "title": rule.title, "page": rule.page}, lambda: print(f"{rule.code}: {rule.page}"))
