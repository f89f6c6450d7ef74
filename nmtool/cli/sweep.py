"""`nmtool sweep`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.data_options import DataOption, DataSource
from nmtool.cli.noise_options import NoiseOptions
from nmtool.cli.options import Option
from nmtool.cli.output import Output, number, refuse_overwriting, table
from nmtool.cli.progress import progress

if TYPE_CHECKING:
    from nmtool.verbs.sweep import SweepResult

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
    labels: Annotated[
        str | None, DataOption(metavar="NAME", show_default="labels, label or y", help="Name of the array of labels")
    ] = None,
    eta: Annotated[
        str, Option(metavar="LIST", help="Strengths of the noise: START:STOP:STEP, or numbers with commas between")
    ] = "0:0.1:0.01",
    trials: Annotated[int, Option(metavar="N", min=1, help="Noise samples per strength")] = 10,
    redraw: Annotated[
        Literal["trial", "batch"], Option(help="One noise sample per trial (a chip), or another for each batch")
    ] = "trial",
    metric: Annotated[
        str,
        Option(
            metavar="NAME",
            help="What is measured: `nmtool list metrics`, top<k> or module:function",
            autocompletion=_metrics,
        ),
    ] = "top1",
    drop: Annotated[float, Option(metavar="X", help="Loss of the metric that defines the tolerance eta*")] = 0.01,
    jobs: Annotated[int, Option("--jobs", "-j", metavar="N", min=1, help="Worker processes")] = 1,
    results: Annotated[
        Path | None,
        Option(metavar="FILE", help="Append every point to this .jsonl; points that it has are not repeated"),
    ] = None,
    csv: Annotated[Path | None, Option(metavar="FILE", help="Write the table there")] = None,
    plot: Annotated[list[Path] | None, Option(metavar="FILE", help="Draw the curves: .svg, .png; repeatable")] = None,
    force: options.Force = False,
) -> None:
    """Measure a metric against the strength of the noise, over many noise samples."""
