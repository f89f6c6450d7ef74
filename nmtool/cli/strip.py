"""`nmtool strip`."""

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.output import Output, refuse_overwriting

EXAMPLES = examples("nmtool strip noisy.onnx -o clean.onnx")


@command
def strip(out: Output, model: options.Model, output: options.Output, force: options.Force = False) -> None:
    """Take the noise out again: the model as it was before `inject`."""
    import nmtool

    refuse_overwriting([output], force)
    nmtool.save(nmtool.strip(model), output, force=force)
    out.result({"output": str(output)}, lambda: print(f"wrote: {output}"))
