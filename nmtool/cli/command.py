"""What every command has: -c/--config, --print-config, --json, -q and -v."""

import functools
import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from nmtool.cli import config
from nmtool.cli.options import Option
from nmtool.cli.output import Output

Body = Callable[..., None]


def _shared(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        Option(
            "--config",
            "-c",
            is_eager=True,
            callback=config.load,
            metavar="FILE",
            help="TOML file with defaults for options",
        ),
    ] = None,
    print_config: Annotated[bool, Option("--print-config", help="Print every option's value as TOML and stop")] = False,
    json: Annotated[bool, Option("--json", help="Print one JSON document on stdout")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No notes and no progress on stderr")] = False,
    verbose: Annotated[int, Option("--verbose", "-v", count=True, help="Log on stderr; twice for details")] = 0,
) -> None:
    """The parameters that `command` adds; never called."""


def command(body: Body) -> Body:
    """Turn `body(out, **its own options)` into a function for typer that has the shared options too."""
    shared = inspect.signature(_shared).parameters
    own = [parameter for name, parameter in inspect.signature(body).parameters.items() if name != "out"]

    @functools.wraps(body)
    def run(**values: Any) -> None:
        settings = {name: values.pop(name) for name in shared}
        ctx: typer.Context = settings["ctx"]
        if settings["print_config"]:
            print(config.merged(ctx), end="")
            return
        logging.basicConfig(
            level=("WARNING", "INFO", "DEBUG")[min(settings["verbose"], 2)], format="%(name)s: %(message)s"
        )
        body(Output(str(ctx.info_name), settings["json"], settings["quiet"]), **values)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *shared.values())]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def examples(*lines: str) -> str:
    """The Examples block that ends a command's help; each line is a command that tests run."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
