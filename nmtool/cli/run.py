"""`nmtool run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.data_options import DataSource
from nmtool.cli.options import Option
from nmtool.cli.output import Output, number, refuse_overwriting, table

if TYPE_CHECKING:
    from nmtool.backends import Array

EXAMPLES = examples(
    "nmtool run noisy.onnx --data digits.npz --trial 3",
    "nmtool run noisy.onnx --data digits.npz --scale 0 --backend reference -n 8 -o clean.npz",
)


def _backends() -> list[str]:
    from nmtool.backends import names

    return names()


@command
def run(
    out: Output,
    model: options.Model,
    data: DataSource,
    trial: options.Trial = 0,
    scale: options.Scale = 1.0,
    run: options.Run = 0,
    time: options.Time = None,
    backend: Annotated[
        str,
        Option(metavar="NAME", help="What runs the model; `nmtool list backends` has all", autocompletion=_backends),
    ] = "onnxruntime",
    device: options.Device = "auto",
    sampling: options.Sampling = "weights",
    custom_ops: options.CustomOps = None,
    outputs: Annotated[
        list[str] | None,
        Option("--outputs", metavar="NAME", help="Only these outputs of the model; repeatable", show_default="all"),
    ] = None,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="Write the outputs there, as .npz")
    ] = None,
    force: options.Force = False,
) -> None:
    """Run a model, noisy or not, on data."""
    import numpy as np

    import nmtool
    from nmtool.atomic import written_whole

    refuse_overwriting([output], force)
    results = nmtool.run(
        model,
        data.data,
        trial=trial,
        scale=scale,
        run=run,
        time=time,
        backend=backend,
        outputs=outputs or None,
        data_options=data.options(),
        **options.backend_options(custom_ops, device, sampling),
    )
    if output is not None:
        with written_whole(output) as staged, staged.open("wb") as file:
            np.savez(file, **results)  # type: ignore[arg-type]  # numpy types the keywords as flags
        out.note(f"wrote: {output}")
    summary = [_summary(name, array) for name, array in results.items()]
    out.result({"output": output and str(output), "outputs": summary}, lambda: _print(summary))


def _summary(name: str, array: "Array") -> dict[str, Any]:
    figures = (
        {"min": array.min(), "mean": array.mean(), "max": array.max()}
        if array.size and array.dtype.kind in "fiub"
        else {}
    )
    values = {key: float(value) for key, value in figures.items()}
    return {"name": name, "type": str(array.dtype), "shape": list(array.shape), **values}


def _print(summary: list[dict[str, Any]]) -> None:
    figures = ("min", "mean", "max")
    rows = [
        (row["name"], row["type"], "x".join(map(str, row["shape"])), *(number(row.get(key), 5) for key in figures))
        for row in summary
    ]
    table(("output", "type", "shape", *figures), rows, right=figures)
