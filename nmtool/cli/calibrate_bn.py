"""`nmtool calibrate-bn`."""

from typing import TYPE_CHECKING, Annotated

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.data_options import DataSource
from nmtool.cli.noise_options import NoiseOptions
from nmtool.cli.options import Option
from nmtool.cli.output import Output, number, refuse_overwriting, table
from nmtool.cli.progress import progress

if TYPE_CHECKING:
    from nmtool.verbs.calibrate_bn import Calibration

EXAMPLES = examples(
    "nmtool calibrate-bn digits-bn.onnx --data digits.npz --eta 0.05 -o calibrated.onnx",
    "nmtool calibrate-bn digits-bn.onnx --data digits.npz --eta 0.1 --batches 4 -o calibrated4.onnx --json",
)


@command
def calibrate_bn(
    out: Output,
    model: options.Model,
    data: DataSource,
    output: options.Output,
    noise: NoiseOptions,
    eta: Annotated[
        float | None,
        Option(metavar="X", help="Strength of the noise, a number >= 0", show_default="0.05; hardware: 1"),
    ] = None,
    batches: Annotated[
        int | None, Option(metavar="N", min=1, help="Use only the first N batches", show_default="all")
    ] = None,
    force: options.Force = False,
) -> None:
    """Recompute BatchNormalization's running statistics under noise.

    No weights are trained.
    """
    import nmtool

    refuse_overwriting([output], force)
    with progress(out, "calibrate-bn") as report:
        result = nmtool.calibrate_bn(
            model,
            data.data,
            output,
            eta=eta,
            noise=noise.model(eta=1.0),
            seed=noise.seed,
            batches=batches,
            data_options=data.options(),
            progress=report,
            force=force,
            **noise.placement(),
        )
    out.result({"output": str(output), "report": result.to_json()}, lambda: _print(result))
    for path in result.files:
        out.note(f"wrote: {path}")


def _print(result: "Calibration") -> None:
    rows = []
    for row in result.nodes:
        norms = [None if each is None else each.norm for each in (row.mean, row.var)]
        changes = [None if each is None else each.change for each in (row.mean, row.var)]
        status = f"kept: {row.reason}" if row.reason else "calibrated"
        rows.append((row.node, *map(number, (*norms, *changes)), status))
    figures = ("|mean|", "|var|", "change of mean", "change of var")
    table(("node", *figures, "status"), rows, right=figures)
    print(f"means over {result.batches} batches")
