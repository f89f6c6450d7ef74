"""Peak memory of loading and running a model: `python -m nmtool.checks.peak`, in a process of its own.

Arguments: backend, model file, .npz with the inputs, operator libraries. Prints the peak in bytes, above what the
process needs with the backend imported.
"""

import resource
import sys

import numpy as np

from nmtool import backends
from nmtool.verbs.noisy import NoisyRunner

_UNIT = 1 if sys.platform == "darwin" else 1024


def _peak() -> int:
    """Bytes of this process and of the largest one that it has waited for."""
    return _UNIT * sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main(backend: str, model: str, feeds: str, *custom_ops: str) -> None:
    """Load, run twice, print."""
    inputs = dict(np.load(feeds))
    backends.availability(backend)  # imports it
    before = _peak()
    options = {"custom_ops": custom_ops} if custom_ops else {}
    runner = NoisyRunner(backends.load(model, backend, **options))
    for trial in range(2):
        runner.run(runner.runner.outputs, inputs, trial, 1.0)
    print(_peak() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
