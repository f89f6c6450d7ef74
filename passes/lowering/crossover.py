"""Up to how many rows it is cheaper to sample a product's outputs than its weights.

Measured with `python benchmarks/crossover.py` (docs/performance.md); the figures are ratios of costs on one machine, so
they move little between machines.
"""

import math

# Costs of a piece of work, in times of drawing one normal.
_MULTIPLY_ADD = 0.02
_WEIGHT = 1.8  # drawing it, reading and writing it, and that the runtime cannot pack it in advance
_NODES = 60_000  # the nodes that sample outputs, whatever the size


def rows_where_outputs_are_cheaper(inputs: int, channels: int) -> int:
    """The largest number of rows M for which sampling outputs costs less than sampling weights; 0 where none does.

    Weights [K, N] cost K N draws. Outputs cost M N draws and the products X X^T and U^T Z, M^2 (K + N) multiply-adds.

    Args:
        inputs: K.
        channels: N.
    """
    left = _WEIGHT * inputs * channels - _NODES
    if left <= 0:
        return 0
    square = _MULTIPLY_ADD * (inputs + channels)
    return int((math.sqrt(channels**2 + 4 * square * left) - channels) / (2 * square))
