"""Up to how many rows it is cheaper to sample a product's outputs than its weights.

Measured with `python benchmarks/crossover.py` (docs/performance.md); the figures are ratios of costs on one machine, so
they move little between machines.
"""

import math

# Costs of a piece of work, in times of drawing one normal, as they fit what was measured.
_MULTIPLY_ADD = 0.03
_WEIGHT = 1.8  # drawing it, writing and reading it, and that the runtime cannot pack it in advance
_FUSED_WEIGHT = 0.5  # drawing it, less what the product with noise inside gains on the runtime's
_NODES = 5_000  # the nodes that sample outputs, whatever the size


def rows_where_outputs_are_cheaper(inputs: int, channels: int, *, fused: bool) -> int:
    """The largest number of rows M for which sampling outputs costs less than sampling weights; 0 where none does.

    Weights [K, N] cost K N draws. Outputs cost M N draws and the products X X^T and U^T Z, M^2 (K + N) multiply-adds.

    Args:
        inputs: K.
        channels: N.
        fused: whether weights, where they are drawn, are drawn inside the product.
    """
    left = (_FUSED_WEIGHT if fused else _WEIGHT) * inputs * channels - _NODES
    if left <= 0:
        return 0
    square = _MULTIPLY_ADD * (inputs + channels)
    return int((math.sqrt(channels**2 + 4 * square * left) - channels) / (2 * square))
