"""`nmtool clip`."""

from typing import TYPE_CHECKING, Annotated

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.options import Option
from nmtool.cli.output import Output, number, percent, refuse_overwriting, table
from nmtool.cli.selection_options import SelectionOptions

if TYPE_CHECKING:
    from nmtool.verbs.clip import ClipReport

EXAMPLES = examples(
    "nmtool clip digits.onnx -o clipped.onnx",
    "nmtool clip digits.onnx -o clipped2.onnx -k 2 --per-channel --skip-last 1",
)


@command
def clip(
    out: Output,
    model: options.Model,
    output: options.Output,
    selection: SelectionOptions,
    k: Annotated[float, Option("-k", metavar="X", help="How many standard deviations a weight may be from 0")] = 2.5,
    per_channel: Annotated[
        bool, Option("--per-channel", help="Those of each output channel, not of the whole array")
    ] = False,
    force: options.Force = False,
) -> None:
    """Clip outlying weights, so that the range and the noise get smaller.

    No training, no data; only weights that `inject` would make noisy change.
    """
    import nmtool

    refuse_overwriting([output], force)
    report = nmtool.clip(model, output, k=k, per_channel=per_channel, force=force, **selection.selection())
    out.result({"output": str(output), "report": report.to_json()}, lambda: _print(report))
    out.note(f"wrote: {output}")


def _print(report: "ClipReport") -> None:
    rows = [
        (
            row.node,
            row.array,
            "x".join(map(str, row.shape)) or "-",
            f"{row.weights:,}",
            number(row.limit),
            "-" if row.reason else percent(row.clipped),
            number(row.range_before),
            number(row.range_after),
            f"not clipped: {row.reason}" if row.reason else "clipped",
        )
        for row in report.arrays
    ]
    figures = ("weights", "limit", "beyond it", "range", "range after")
    table(("node", "array", "shape", *figures, "status"), rows, right=figures)
