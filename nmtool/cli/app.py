"""The command line: one typer application, and the edge where errors become messages and exit codes."""

import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer

from nmtool import errors
from nmtool.cli import (
    analyze,
    bake,
    calibrate,
    calibrate_bn,
    check,
    clip,
    compile,
    distill,
    doctor,
    engine,
    explain,
    explain_session,
    inject,
    listing,
    report,
    run,
    show,
    strip,
    sweep,
)

app = typer.Typer(
    name="nmtool",
    epilog="Options can also be set by NMTOOL_<COMMAND>_<OPTION> or in a TOML file (-c).",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),
    },
)


def _add(name: str, body: Callable[..., None], examples: str) -> None:
    prefix = f"NMTOOL_{name.upper().replace('-', '_')}"
    app.command(name, epilog=examples, context_settings={"auto_envvar_prefix": prefix})(body)


_add("inject", inject.inject, inject.EXAMPLES)
_add("strip", strip.strip, strip.EXAMPLES)
_add("bake", bake.bake, bake.EXAMPLES)
_add("run", run.run, run.EXAMPLES)
_add("sweep", sweep.sweep, sweep.EXAMPLES)
_add("analyze", analyze.analyze, analyze.EXAMPLES)
_add("clip", clip.clip, clip.EXAMPLES)
_add("calibrate", calibrate.calibrate, calibrate.EXAMPLES)
_add("calibrate-bn", calibrate_bn.calibrate_bn, calibrate_bn.EXAMPLES)
_add("distill", distill.distill, distill.EXAMPLES)
_add("check", check.check, check.EXAMPLES)
_add("compile", compile.compile, compile.EXAMPLES)
_add("explain-session", explain_session.explain_session, explain_session.EXAMPLES)
_add("report", report.report, report.EXAMPLES)
_add("explain", explain.explain, explain.EXAMPLES)
_add("show", show.show, show.EXAMPLES)
_add("list", listing.list_, listing.EXAMPLES)
_add("engine", engine.engine, engine.EXAMPLES)
_add("doctor", doctor.doctor, doctor.EXAMPLES)


def _print_version(wanted: bool) -> None:
    if wanted:
        from nmtool.verbs.doctor import versions

        for name, version in versions().items():
            print(f"{name} {version}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print versions and stop")
    ] = False,
) -> None:
    """Analog noise for ONNX models: inject it, run with it, measure what it costs."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script: run a command and exit with the code that docs/exit-codes.md lists."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        app(words, prog_name="nmtool", obj=shlex.join(["nmtool", *words]))
    except errors.NmtoolError as error:
        _fail(error.message, error.hint, error.exit_code)
    except OSError as error:
        if error.filename is None:
            _bug()
        _fail(f"{(error.strerror or str(error)).lower()}: {error.filename}", None, errors.EXIT_USAGE)
    except Exception:
        _bug()
    sys.exit(0)


def _fail(message: str, hint: str | None, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"\nhint: {hint}", file=sys.stderr)
    sys.exit(code)


def _bug() -> NoReturn:
    traceback.print_exc()
    print("\nthis is a bug in nmtool, please report it with the lines above", file=sys.stderr)
    sys.exit(errors.EXIT_BUG)
