"""`nmtool inject`."""

from typing import Annotated, Literal

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.options import Option
from nmtool.cli.output import Output, refuse_overwriting
from nmtool.cli.report import print_coverage

EXAMPLES = examples(
    "nmtool inject digits.onnx -o noisy.onnx --eta 0.05",
    "nmtool inject digits.onnx -o noisy.onnx --eta 0.1 --relative-to max --per-channel --force",
    "nmtool inject digits.onnx -o noisy.onnx --noise stuck:high=0.5 --eta 0.01 --exclude 'dense*' --force",
)


@command
def inject(
    out: Output,
    model: options.Model,
    output: options.NewModel,
    noise: options.Noise = "gaussian",
    eta: options.Eta = 0.05,
    relative_to: options.RelativeTo = None,
    per_channel: options.PerChannel = False,
    seed: options.Seed = 0,
    drawn: Annotated[
        Literal["run", "chip"], Option(help="New noise at each inference (run), or one sample for good (chip)")
    ] = "run",
    include: options.Include = None,
    exclude: options.Exclude = None,
    include_ops: options.IncludeOps = None,
    exclude_ops: options.ExcludeOps = None,
    skip_first: options.SkipFirst = 0,
    skip_last: options.SkipLast = 0,
    dynamic: options.Dynamic = False,
    opset: Annotated[
        int | None, Option(metavar="N", help="First convert the model to this opset; 18 makes its noise exact anywhere")
    ] = None,
    fresh: Annotated[bool, Option("--fresh", help="New noise at every run without feeding noise_trial")] = False,
    force: options.Force = False,
) -> None:
    """Put analog noise into a model's weights; report where and how much."""
    import nmtool

    refuse_overwriting([output], force)
    injection = nmtool.inject(
        model,
        noise=options.parse_noise(noise, eta=eta, relative_to=relative_to),
        per_channel=per_channel,
        seed=seed,
        drawn=drawn,
        include=include or (),
        exclude=exclude or (),
        include_ops=include_ops or (),
        exclude_ops=exclude_ops or (),
        skip_first=skip_first,
        skip_last=skip_last,
        dynamic=dynamic,
        opset=opset,
        fresh=fresh,
    )
    injection.save(output, force=force)
    report = injection.report
    out.result({"output": str(output), "report": report.to_json()}, lambda: print_coverage(report))
    out.note(f"wrote: {output}")
