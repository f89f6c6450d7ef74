"""Lowering: rewriting a noisy model for speed on one machine, with the same noise (docs/performance.md).

`lower` does it all: it opens the composites, folds BatchNormalization into arrays and their noise, samples the outputs
of products instead of their weights or draws these inside the products, and puts the noise behind the runtime's layout
of convolutions.
"""

from nmtool.passes.lowering.lower import Lowered as Lowered
from nmtool.passes.lowering.lower import NodeForm as NodeForm
from nmtool.passes.lowering.lower import Sampling as Sampling
from nmtool.passes.lowering.lower import lower as lower
