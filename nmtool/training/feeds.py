"""The same samples for torch and for a runtime, which takes its own types and may have a fixed batch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmtool.backends import Runner


def paired(
    runner: Runner, feeds: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Samples for a widened module, and the same ones for a runner.

    Args:
        runner: takes the inputs; where it has a fixed batch, samples are repeated or left out.
        feeds: arrays for the inputs without a default, by name.

    Returns:
        Arrays with half precision in float32, and arrays of the runner's types; both in the runner's order.
    """
    wide, exact = {}, {}
    for name, port in runner.inputs.items():
        if port.optional:
            continue
        array = feeds[name]
        if port.shape and port.shape[0] not in (None, len(array)):
            array = array[np.arange(port.shape[0] or 0) % len(array)]
        exact[name] = array.astype(port.dtype or array.dtype)
        wide[name] = exact[name].astype(np.float32) if exact[name].dtype == np.float16 else exact[name]
    return wide, exact
