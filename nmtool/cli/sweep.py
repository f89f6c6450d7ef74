"""`nmtool sweep`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmtool.cli.command import command, examples
from nmtool.cli.data_options import DataSource
from nmtool.cli.measurement_options import MeasurementOptions
from nmtool.cli.noise_options import NoiseOptions
from nmtool.cli.options import Force, Option
from nmtool.cli.output import Output, interval, number, refuse_overwriting, table
from nmtool.cli.progress import progress

if TYPE_CHECKING:
    from nmtool.verbs.sweep import SweepResult
    from nmtool.verbs.sweep.tolerance import Tolerance

EXAMPLES = examples(
    "nmtool sweep digits.onnx --data digits.npz --eta 0:0.2:0.05 --trials 5",
    "nmtool sweep digits.onnx --data digits.npz --eta 0,0.05,0.1 --trials 3 --results sweep.jsonl --plot sweep.svg",
    "nmtool sweep noisy.onnx --data digits.npz --eta 0.05,0.1 --trials 2 --metric cosine --redraw batch --json",
)


@command
def sweep(
    out: Output,
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="ONNX files, plain or noisy", show_default=False)
    ],
    data: DataSource,
    noise: NoiseOptions,
    measurement: MeasurementOptions,
    eta: Annotated[
        str | None,
        Option(
            metavar="LIST",
            help="Strengths of the noise: START:STOP:STEP, or numbers with commas between",
            show_default="0:0.1:0.01; hardware: 0,1",
        ),
    ] = None,
    over: Annotated[
        str | None,
        Option(
            "--sweep", metavar="KEY=V1,V2,...", help="Measure with each of these values of the hardware, as time=1h,1d"
        ),
    ] = None,
    redraw: Annotated[
        Literal["set", "batch"], Option(help="One noise sample per trial for the whole data set, or one for each batch")
    ] = "set",
    drop: Annotated[
        float, Option(metavar="X", help="Loss that defines the tolerance eta*, in units of the metric")
    ] = 0.01,
    results: Annotated[
        Path | None, Option(metavar="FILE", help="Append each point to this .jsonl; what it has is not measured again")
    ] = None,
    csv: Annotated[Path | None, Option(metavar="FILE", help="Write the table as CSV")] = None,
    plot: Annotated[
        list[Path] | None, Option(metavar="FILE", help="Draw the curves, as .svg or .png; repeatable")
    ] = None,
    force: Force = False,
) -> None:
    """Measure a metric against the strength of the noise."""
    import nmtool

    refuse_overwriting([csv, *(plot or ())], force)
    with progress(out, "sweep") as report:
        result = nmtool.sweep(
            models,
            data.data,
            etas=eta,
            noise=noise.model(eta=1.0),
            over=over,
            seed=noise.seed,
            redraw=redraw,
            results=results,
            data_options=data.options(measurement.labels),
            progress=report,
            injection=noise.placement(),
            **measurement.measurement(),
        )
    if csv:
        result.write_csv(csv)
    if plot:
        result.plot(*plot)
    tolerances = result.tolerance(drop)
    out.result(
        {**result.to_json(), "tolerance": {model: vars(tolerance) for model, tolerance in tolerances.items()}},
        lambda: _print(result, tolerances),
    )
    for path in filter(None, [results, csv, *(plot or ())]):
        out.note(f"wrote: {path}")


def _print(result: "SweepResult", tolerances: Mapping[str, "Tolerance"]) -> None:
    """Mean, spread and confidence at each strength of the noise; then how much each model bears."""
    rows = [
        (
            row.model,
            f"{row.eta:g}",
            str(row.summary.trials),
            number(row.summary.mean, 4),
            number(row.summary.std, 2),
            interval(row.summary.low, row.summary.high, 4),
        )
        for row in result.summary()
    ]
    figures = ("eta", "trials", result.metric, "std", "95 % interval")
    table(("model", *figures), rows, right=figures)
    for model, tolerance in tolerances.items():
        bound = "at least " if tolerance.beyond_grid else ""
        ends = interval(tolerance.low, tolerance.high, 3)
        print(f"eta* of {model}: {bound}{number(tolerance.eta)} ({ends}) for a drop of {tolerance.drop:g}")
