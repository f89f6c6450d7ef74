"""`nmtool calibrate`."""

from typing import Annotated

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.data_options import DataSource
from nmtool.cli.noise_options import profiles
from nmtool.cli.options import Option
from nmtool.cli.output import Output, number, refuse_overwriting, table
from nmtool.cli.progress import progress

EXAMPLES = examples(
    "nmtool calibrate digits.onnx --data digits.npz --hardware sram-imc -o ranges.toml",
    "nmtool calibrate digits.onnx --data digits.npz --hardware reram-wan --set periphery.input.percentile=99 -o r.toml",
)


@command
def calibrate(
    out: Output,
    model: options.Model,
    data: DataSource,
    output: options.Output,
    hardware: Annotated[
        str,
        Option(
            metavar="NAME|FILE",
            help="Profile of the hardware: `nmtool list hardware`, or a TOML file",
            autocompletion=profiles,
        ),
    ],
    changes: Annotated[
        list[str] | None, Option("--set", metavar="KEY=VALUE", help="Change the hardware; repeatable")
    ] = None,
    force: options.Force = False,
) -> None:
    """Find the ranges of an array's converters, and write them to a file that `--calibration` takes."""
    import numpy as np

    import nmtool

    refuse_overwriting([output], force)
    with progress(out, "calibrate") as report:
        result = nmtool.calibrate(
            model, data.data, hardware, changes=changes or (), data_options=data.options(), progress=report
        )
    result.save(output, force=force)
    sides = ("input_range", "output_range")
    rows = [
        (
            node,
            *(number(float(np.max(each[side]))) if side in each else "-" for side in sides),
        )
        for node, each in result.ranges.items()
    ]
    document = {"output": str(output), "samples": result.samples, "ranges": result.ranges}
    figures = ("largest input", "largest partial sum")
    out.result(document, lambda: table(("node", *figures), rows, right=figures))
    out.note(f"wrote: {output}")
