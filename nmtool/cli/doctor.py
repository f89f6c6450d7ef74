"""`nmtool doctor`."""

import typer

from nmtool.cli.command import command, examples
from nmtool.cli.output import Output, table
from nmtool.errors import EXIT_ENVIRONMENT

EXAMPLES = examples("nmtool doctor", "nmtool doctor --json")


@command
def doctor(out: Output) -> None:
    """Check the environment; name the command for whatever is missing.

    Exits with 4 when something required is missing.
    """
    import nmtool

    diagnosis = nmtool.doctor()

    def text() -> None:
        table(("", "what", "state"), [(check.status, check.name, check.detail) for check in diagnosis.checks])
        for check in diagnosis.checks:
            if check.hint:
                print(f"to get {check.name}: {check.hint}")

    out.result(diagnosis.to_json(), text)
    if not diagnosis.healthy:
        raise typer.Exit(EXIT_ENVIRONMENT)
