"""`nmtool show`."""

from typing import Annotated, Literal

import typer

from nmtool.cli.command import command, examples
from nmtool.cli.output import Output

EXAMPLES = examples("nmtool show hardware pcm", "nmtool show recipe robust")


@command
def show(
    out: Output,
    kind: Annotated[Literal["hardware", "recipe"], typer.Argument(help="What to show")],
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Name of a shipped one, or a TOML file")],
) -> None:
    """Print a hardware profile or a recipe as TOML, to read it or to start one of your own."""
    from nmtool import recipes
    from nmtool.hardware import profile

    if kind == "hardware":
        profile.load(name)
        text = profile.text(name)
    else:
        recipes.load(name)
        text = recipes.text(name)
    out.result({"kind": kind, "name": name, "toml": text}, lambda: print(text, end=""))
