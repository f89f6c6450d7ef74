"""Every runtime loads it.

The model is loaded on each backend that takes part, as a user of that runtime would load it. What stops it is mostly an
opset or IR version that is newer than the runtime, or an operator or type that the runtime does not have. It is an
error on ONNX Runtime and on backends that were named by --backend, and a warning on others that happen to be installed.

Some runtimes cannot compute the noise of a noisy model: they round its integers, or draw other numbers. They load the
model without its noise, and what `nmtool bake` makes of it; that is not an error, but it is said.

To fix: convert the model to an older opset (`onnx.version_converter`), save it with a lower ir_version, use a newer
runtime, or give the operators' library with --custom-ops.
"""

from collections.abc import Iterator

from nmtool.checks.engines import absent, present
from nmtool.checks.finding import Finding, error, not_checked, note, warning
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
            yield _refused(subject, name, failure, versions)
        else:
            yield note(f"{name} loads it", backend=name, runtime=loaded.runner.description)


def _refused(subject: Subject, backend: str, failure: ModelError, versions: str) -> Finding:
    fix = failure.hint or "use a newer runtime, or convert the model to an older opset"
    if subject.record is not None and _loads_clean(subject, backend):
        said = f"{backend} loads the model without its noise only: {failure.message}"
        return not_checked(said, fix, backend=backend)
    wanted = backend == "onnxruntime" or backend in (subject.request.backends or ())
    said = f"{backend} does not load it (IR {subject.proto.ir_version}, {versions}): {failure.message}"
    return (error if wanted else warning)(said, fix, backend=backend)


def _loads_clean(subject: Subject, backend: str) -> bool:
    try:
        subject.on(backend, "clean")
    except ModelError:
        return False
    return True
