"""`nmtool check`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.data_options import Labels, OptionalData
from nmtool.cli.noise_options import NoiseOptions
from nmtool.cli.options import Option
from nmtool.cli.output import Output, refuse_overwriting, table
from nmtool.cli.progress import progress
from nmtool.errors import EXIT_CHECK_FAILED, UsageError

if TYPE_CHECKING:
    from nmtool.checks.report import Report

_Key = TypeVar("_Key")

EXAMPLES = examples(
    "nmtool check noisy.onnx --against digits.onnx --data digits.npz",
    "nmtool check digits.onnx --data digits.npz --eta 0.02 --gate 'top1>=0.9@eta=0.02' --select NM4",
    "nmtool check digits.onnx --select NM0 --ignore NM002 --junit check.xml --json",
)


@command
def check(
    out: Output,
    model: options.Model,
    data: OptionalData,
    noise: NoiseOptions,
    document: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="With --json: write the document here", show_default=False),
    ] = None,
    labels: Labels = None,
    against: Annotated[Path | None, Option(metavar="FILE", help="The original that the model was made from")] = None,
    eta: Annotated[
        float | None, Option(metavar="X", help="Strength of the noise that a model without noise is checked with")
    ] = None,
    gate: Annotated[
        list[str] | None,
        Option(metavar="CONDITION", help="Such as 'top1>=0.90@eta=0.05', shown with confidence 1 - alpha; repeatable"),
    ] = None,
    backend: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="Check on this backend; repeatable", show_default="all that are installed"),
    ] = None,
    device: options.Device = "auto",
    custom_ops: options.CustomOps = None,
    select: Annotated[
        list[str] | None, Option(metavar="CODE", help="Only rules whose code begins so, as NM3; repeatable")
    ] = None,
    ignore: Annotated[
        list[str] | None, Option(metavar="CODE", help="Without rules whose code begins so; repeatable")
    ] = None,
    trials: Annotated[int, Option(metavar="N", help="Noise samples of statistical rules")] = 200,
    max_trials: Annotated[int, Option(metavar="N", help="Noise samples after which an undecided gate fails")] = 100,
    alpha: Annotated[float, Option(metavar="P", help="Chance of a false alarm of a statistical rule")] = 0.01,
    strict: Annotated[bool, Option("--strict", help="Warnings fail the check too")] = False,
    junit: Annotated[Path | None, Option(metavar="FILE", help="Write the result as JUnit XML")] = None,
    force: options.Force = False,
) -> None:
    """Check that a model is fit to ship, on every runtime that is installed."""
    import nmtool

    if document is not None and not out.as_json:
        raise UsageError(f"one model at a time: what is {document}?", hint="--against compares with another model")
    refuse_overwriting([document, junit], force)
    with progress(out, "check") as show:
        report = nmtool.check(
            model,
            against=against,
            data=data.data,
            eta=eta,
            noise=noise.model(eta),
            placement=noise.placement(),
            gates=gate or (),
            backends=backend,
            custom_ops=custom_ops or (),
            device=device,
            select=select or (),
            ignore=ignore or (),
            trials=trials,
            max_trials=max_trials,
            alpha=alpha,
            seed=noise.seed,
            data_options=data.options(labels),
            progress=show,
        )
    if document is not None:  # beside the table
        out.write(document, report.to_json())
        out = replace(out, as_json=False)
    out.result(report.to_json(), lambda: _print(report))
    if junit:
        report.write_junit(junit)
        out.note(f"wrote: {junit}")
    if not report.passed or (strict and report.count("warning")):
        raise typer.Exit(EXIT_CHECK_FAILED)


def _print(report: "Report") -> None:
    """All findings, worst first, then the rules that found nothing; what several rules say is said once."""
    rules: dict[tuple[str, str], list[str]] = {}
    fixes: dict[str, list[str]] = {}
    for outcome, finding in report.findings:
        _append(rules, (str(finding.severity), finding.message), outcome.code)
        if finding.fix:
            _append(fixes, finding.fix, outcome.code)
    rows = [(severity, " ".join(codes), message) for (severity, message), codes in rules.items()]
    silent = [("passed", outcome.code, outcome.title) for outcome in report.outcomes if not outcome.findings]
    table(("", "rule", "finding"), [*rows, *silent])
    for fix, codes in fixes.items():
        print(f"{' '.join(codes)}: {fix}")
    statuses = ("passed", "warning", "error", "not checked")
    print(", ".join(f"{count} {status}" for status in statuses if (count := report.count(status))))


def _append(lists: dict[_Key, list[str]], key: _Key, code: str) -> None:
    codes = lists.setdefault(key, [])
    if code not in codes:
        codes.append(code)
