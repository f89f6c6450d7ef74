"""`nmtool inject`."""

from typing import TYPE_CHECKING, Annotated, Literal

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.noise_options import NoiseOptions
from nmtool.cli.options import Option
from nmtool.cli.output import Output, number, percent, refuse_overwriting, table

if TYPE_CHECKING:
    from nmtool.passes.report import CoverageReport

EXAMPLES = examples(
    "nmtool inject digits.onnx -o noisy.onnx --eta 0.05",
    "nmtool inject digits.onnx -o per-channel.onnx --eta 0.1 --relative-to max --per-channel",
    "nmtool inject digits.onnx -o stuck.onnx --noise stuck:high=0.5 --eta 0.01 --exclude 'dense*'",
)


@command
def inject(
    out: Output,
    model: options.Model,
    output: options.Output,
    noise: NoiseOptions,
    eta: Annotated[
        float | None,
        Option(metavar="X", help="Strength of the noise, a pure number >= 0", show_default="0.05; devices: 1"),
    ] = None,
    drawn: Annotated[
        Literal["run", "chip"], Option(help="New noise for each inference (run), or one sample for good (chip)")
    ] = "run",
    opset: Annotated[
        int | None,
        Option(metavar="N", help="First convert the model to this opset; from 18 on, noise is exact anywhere"),
    ] = None,
    fresh: Annotated[bool, Option("--fresh", help="New noise at every run without feeding noise_trial")] = False,
    force: options.Force = False,
) -> None:
    """Put analog noise into a model's weights; report where and how much."""
    import nmtool

    refuse_overwriting([output], force)
    injection = nmtool.inject(
        model, noise=noise.model(eta), seed=noise.seed, drawn=drawn, opset=opset, fresh=fresh, **noise.placement()
    )
    injection.save(output, force=force)
    report = injection.report
    out.result({"output": str(output), "report": report.to_json()}, lambda: _print(report))
    out.note(f"wrote: {output}")


def _print(report: "CoverageReport") -> None:
    """Per node: noisy, or digital and why; sigma three ways; then the shares of weights and MACs that are analog."""
    rows = [
        (
            row.name,
            row.op_type,
            row.array or "-",
            "x".join(map(str, row.shape)) or "-",
            f"{row.weights:,}",
            "-" if row.macs is None else f"{row.macs:,}",
            number(row.sigma),
            number(row.sigma_range),
            number(row.sigma_max),
            number(row.sigma_std),
            f"{row.status}: {row.reason}" if row.reason else row.status,
        )
        for row in report.nodes
    ]
    figures = ("weights", "MACs", "sigma", "/range", "/max|W|", "/std")
    table(("node", "op", "array", "shape", *figures, "status"), rows, right=figures)
    print(f"analog: {percent(report.weight_share)} of weights, {percent(report.mac_share)} of MACs")
    for note in report.notes:
        print(f"note: {note}")
