"""Noise of scale 0 is no noise.

The noisy model is run at scale 0, at two trials, with the operator library and on the standard operators that every
other runtime uses, and compared with the model without noise.

Both are the same function, whatever the noise model: when they differ, the noise is not all that was put in. It may sit
on values it was not computed for, or the model was changed after the injection; then every measurement under noise is
of another model.

To fix: strip the model and inject it again; report it where that does not help.

Hardware has effects that are no noise: steps of converters and of conductances, the mean of drift, resistance of wires.
They stay at scale 0, and the rule then says how large they are.
"""

from collections.abc import Iterator

from nmtool.checks.bisection import Run, first_node
from nmtool.checks.comparison import compare, disagreeing, worst
from nmtool.checks.declared import has_fixed_effects, noise_of
from nmtool.checks.engines import loader
from nmtool.checks.finding import NO_NOISE, Finding, error, note
from nmtool.checks.subject import Subject
from nmtool.difference import allowed_difference

_TRIALS = (0, 7)


def check(subject: Subject) -> Iterator[Finding]:
    """Compare the noisy model at scale 0 with the clean one."""
    if subject.noisy is None:
        yield NO_NOISE
        return
    _, record = subject.made_noisy
    clean, tolerance = Run(loader(subject, "onnxruntime"), subject.clean), allowed_difference(subject.proto)
    want = subject.on("onnxruntime", "clean").run(subject.outputs, subject.feeds, trial=0, scale=1.0)
    for library in (True, False):
        load = loader(subject, "onnxruntime", library=library)
        loaded = load(subject.noisy)
        if library and not loaded.runner.library:
            continue
        what = "with the operator library" if loaded.runner.library else "on standard operators"
        for trial in _TRIALS:
            have = loaded.run(subject.outputs, subject.feeds, trial=trial, scale=0.0)
            compared = compare(subject.outputs, have, want)
            if has_fixed_effects(noise_of(record)):
                most = worst(compared)
                message = f"at scale 0, {what}, the hardware's fixed effects (steps, mean drift, wires) remain: {most}"
                yield note(message, **most.facts())
                break
            if wrong := disagreeing(compared, tolerance):
                run = Run(load, subject.noisy, trial, scale=0.0)
                clause, node = first_node(run, clean, subject.feeds, [each.output for each in wrong], tolerance)
                message = f"at scale 0, trial {trial}, {what}, outputs are not the clean ones: {wrong[0]}; {clause}"
                yield error(message, "strip the model and inject it again", node=node, **wrong[0].facts())
                break
        else:
            most = worst(compared)
            yield note(f"at scale 0, {what}, outputs are the clean ones: {most}", **most.facts())
