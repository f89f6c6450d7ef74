"""How a command is made: option groups, and what every command has (-c, --print-config, --json, --record, -q, -v)."""

import dataclasses
import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from nmtool.cli import config
from nmtool.cli.options import Option
from nmtool.cli.output import Output, refuse_overwriting

Body = Callable[..., None]

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def _shared(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        Option("--config", "-c", is_eager=True, callback=config.load, metavar="FILE", help="TOML file with defaults"),
    ] = None,
    print_config: Annotated[bool, Option("--print-config", help="Print every option's value as TOML and stop")] = False,
    json: Annotated[bool, Option("--json", help="Print one JSON document on stdout")] = False,
    record: Annotated[
        Path | None,
        Option("--record", metavar="FILE", help="Write that document to this file, where `nmtool report` finds it"),
    ] = None,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No notes and no progress on stderr")] = False,
    verbose: Annotated[
        int, Option("--verbose", "-v", count=True, show_default=False, help="Log on stderr; twice for details")
    ] = 0,
) -> None:
    """The parameters that `command` adds; never called."""


def command(body: Body) -> Body:
    """Turn `body(out, **its options)` into a function for typer that has the shared options too.

    A parameter of `body` whose type is a dataclass is a group of options: it stands for one option per field.
    """
    own = [parameter for name, parameter in inspect.signature(body).parameters.items() if name != "out"]
    shared = inspect.signature(_shared).parameters
    groups: dict[str, Any] = {
        parameter.name: parameter.annotation for parameter in own if dataclasses.is_dataclass(parameter.annotation)
    }

    @functools.wraps(body)
    def run(**values: Any) -> None:
        settings = {name: values.pop(name) for name in shared}
        ctx: typer.Context = settings["ctx"]
        if settings["print_config"]:
            print(config.merged(ctx), end="")
            return
        logging.basicConfig(format="%(name)s: %(message)s")
        logging.getLogger("nmtool").setLevel(_LEVELS[min(settings["verbose"], 2)])
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})
        refuse_overwriting([settings["record"]], values.get("force", False))
        body(
            Output(
                command=str(ctx.info_name),
                line=ctx.obj or "",
                as_json=settings["json"],
                quiet=settings["quiet"],
                record=settings["record"],
            ),
            **values,
        )

    parameters = [*_expanded(own), *shared.values()]
    keyword_only = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in keyword_only}
    return run


def examples(*lines: str) -> str:
    """The Examples block that ends a command's help; tests run each line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _expanded(parameters: list[Parameter]) -> Iterator[Parameter]:
    for parameter in parameters:
        if not dataclasses.is_dataclass(parameter.annotation):
            yield parameter
            continue
        for field in dataclasses.fields(parameter.annotation):
            default = Parameter.empty if field.default is dataclasses.MISSING else field.default
            yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=field.type)
