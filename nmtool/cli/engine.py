"""`nmtool engine`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nmtool.cli.command import command, examples
from nmtool.cli.options import Option
from nmtool.cli.output import Output, table
from nmtool.errors import SetupError, UsageError

EXAMPLES = examples("nmtool engine list", "nmtool engine install --help")


def _names() -> list[str]:
    from nmtool.engines import ENGINES

    return list(ENGINES)


@command
def engine(
    out: Output,
    action: Annotated[Literal["list", "install"], typer.Argument(help="What to do")] = "list",
    name: Annotated[str | None, typer.Argument(help="Which engine", show_default=False, autocompletion=_names)] = None,
    python: Annotated[
        Path | None,
        Option(metavar="FILE", help="Python interpreter to make its environment with", show_default="nmtool's own"),
    ] = None,
    force: Annotated[bool, Option("--force", help="Install anew")] = False,
) -> None:
    """Install engines that need an environment of their own.

    They are kept in the user's folder for data, or in NMTOOL_ENGINES.
    """
    import nmtool
    from nmtool.engines import ENGINES

    if action == "list":
        states = {each: _state(each) for each in ENGINES}
        rows = [(each, ENGINES[each].summary, state) for each, state in states.items()]
        out.result({"engines": states}, lambda: table(("engine", "what it is", "state"), rows))
        return
    if name is None:
        raise UsageError("which engine to install?", hint=f"there are: {', '.join(ENGINES)}")
    found = nmtool.install_engine(name, python=python, force=force, report=out.note)
    document = {"name": name, "python": str(found.python), "versions": found.versions}
    out.result(document, lambda: print(f"installed: {found.python}"))


def _state(name: str) -> str:
    from nmtool.engines import installation

    try:
        return f"installed: {installation(name).python}"
    except SetupError as error:
        return f"{error.message} ({error.hint})"
