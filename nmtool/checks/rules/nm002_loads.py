"""Every runtime loads it.

The model is loaded on each backend that takes part, as a user of that runtime would load it. What stops it is mostly an
opset or IR version that is newer than the runtime, or an operator or type that the runtime does not have.

To fix: convert the model to an older opset (`onnx.version_converter`), save it with a lower ir_version, use a newer
runtime, or give the operators' library with --custom-ops. A backend that will never run the model can be left out by
naming the others with --backend.
"""

from collections.abc import Iterator

from nmtool.checks.engines import absent, present
from nmtool.checks.finding import Finding, error, note
from nmtool.checks.subject import Subject
from nmtool.errors import ModelError


def check(subject: Subject) -> Iterator[Finding]:
    """Load it everywhere."""
    yield from absent(subject)
    versions = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in subject.proto.opset_import)
    for name in present(subject):
        try:
            loaded = subject.on(name, "given")
        except ModelError as failure:
            yield error(
                f"{name} does not load it (IR {subject.proto.ir_version}, {versions}): {failure.message}",
                failure.hint or "use a newer runtime, or convert the model to an older opset",
                backend=name,
            )
        else:
            yield note(f"{name} loads it", backend=name, runtime=loaded.runner.description)
