"""Peak memory of loading and running a model: `python -m nmtool.checks.peak`, in a process of its own.

Arguments: backend, model file, .npz with the inputs, device or "auto", operator libraries. Prints the peak in bytes,
above what the process needs for a model of one node.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from nmtool import backends
from nmtool.errors import NmtoolError
from nmtool.verbs.noisy import NoisyRunner

_TINY = '<ir_version: 8, opset_import: ["" : 17]> tiny (float[1] x) => (float[1] y) { y = Relu(x) }'


def _peak() -> int:
    """Bytes of this process and of its children, which some backends are.

    From /proc: getrusage would begin with the peak of the process that started this one.
    """
    own = Path("/proc/self")
    children = [pid for task in (own / "task").iterdir() for pid in (task / "children").read_text().split()]
    return sum(_peak_of(folder) for folder in (own, *(Path("/proc") / pid for pid in children)))


def _peak_of(process: Path) -> int:
    lines = (process / "status").read_text().splitlines()
    return sum(
        1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")
    )  # none for one that has ended


def main(backend: str, model: str, feeds: str, device: str, *custom_ops: str) -> None:
    """Load, run twice, print."""
    inputs: dict[str, Any] = dict(np.load(feeds))
    backends.load(onnx.parser.parse_model(_TINY), backend)  # imports all that it needs
    before = _peak()
    given = {"custom_ops": custom_ops, "device": "" if device == "auto" else device}
    options = {name: value for name, value in given.items() if value and backends.takes(backend, name)}
    runner = NoisyRunner(backends.load(model, backend, **options))
    for trial in range(2):
        runner.run(runner.runner.outputs, inputs, trial, 1.0)
    print(_peak() - before)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except NmtoolError as error:
        sys.exit(error.message)
