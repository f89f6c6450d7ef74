"""`nmtool compile`."""

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.output import Output, refuse_overwriting

EXAMPLES = examples(
    "nmtool compile noisy.onnx -o compiled.onnx",
    "nmtool compile noisy.onnx -o compiled.onnx --sampling auto --force",
)


@command
def compile(
    out: Output,
    model: options.Model,
    output: options.Output,
    sampling: options.Sampling = "weights",
    custom_ops: options.CustomOps = None,
    force: options.Force = False,
) -> None:
    """Rewrite a noisy model for ONNX Runtime on this machine.

    Sessions of nmtool do that by themselves; the file is for other hosts, and opens faster. It needs the operator
    library.
    """
    import nmtool

    refuse_overwriting([output], force)
    compiled = nmtool.compile(model, sampling=sampling, custom_ops=custom_ops or ())
    nmtool.save(compiled, output, force=force, own_data=True)
    out.result({"output": str(output), "sampling": sampling}, lambda: print(f"compiled for this machine: {output}"))
