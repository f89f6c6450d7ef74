"""`nmtool explain-session`."""

from dataclasses import asdict

from nmtool.cli import options
from nmtool.cli.command import command, examples
from nmtool.cli.output import Output, table

EXAMPLES = examples("nmtool explain-session noisy.onnx", "nmtool explain-session noisy.onnx --sampling auto")


@command
def explain_session(
    out: Output,
    model: options.Model,
    sampling: options.Sampling = "weights",
    custom_ops: options.CustomOps = None,
) -> None:
    """Say how a session computes the noise of each node on this machine."""
    import nmtool

    forms = nmtool.explain_session(model, sampling=sampling, custom_ops=custom_ops or ())
    rows = [(form.node, form.op_type, form.form, form.reason) for form in forms]
    out.result({"nodes": [asdict(form) for form in forms]}, lambda: table(("node", "op", "form", "why"), rows))
