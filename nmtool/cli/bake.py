"""`nmtool bake`."""

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.output import Output, refuse_overwriting

EXAMPLES = examples("nmtool bake noisy.onnx -o chip7.onnx --trial 7")


@command
def bake(
    out: Output,
    model: options.Model,
    output: options.Output,
    trial: options.Trial = 0,
    scale: options.Scale = 1.0,
    run: options.Run = 0,
    time: options.Time = None,
    force: options.Force = False,
) -> None:
    """Write one chip: a plain ONNX model with the noise of one trial.

    It holds standard ops only, so any framework loads it, and equals the noisy model at that trial.
    """
    import nmtool

    refuse_overwriting([output], force)
    nmtool.save(nmtool.bake(model, trial=trial, scale=scale, run=run, time=time), output, force=force, own_data=True)
    document = {"output": str(output), "trial": trial, "scale": scale}
    out.result(document, lambda: print(f"wrote trial {trial}: {output}"))
