"""Put noise on the weights of a model: the pass behind `nmtool inject`."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from nmtool.errors import ModelError, UsageError
from nmtool.noise.base import NoiseModel, Stage, WeightStatistics
from nmtool.noise.stream import stream_of
from nmtool.ops import DOMAIN, VERSION
from nmtool.ops.analog import ANALOG_OPS, DIGITAL_OPS, EVERY_OPERAND
from nmtool.ops.composites import (
    composite_function,
    composite_name,
    dynamic_matmul,
    has_dynamic_form,
    parameter_names,
)
from nmtool.ops.primitives import primitive_functions
from nmtool.passes.constants import FLOATS, ConstantArray, ConstantFinder
from nmtool.passes.function_weights import CallWeights, call_weights
from nmtool.passes.graphs import Site, graph_of, graphs, label, sites, value_names
from nmtool.passes.macs import count_dynamic_macs, count_macs, infer_shapes
from nmtool.passes.noise_inputs import NoiseInputs
from nmtool.passes.report import CoverageReport, NodeReport
from nmtool.passes.selection import Selection
from nmtool.passes.statistics import statistics

NOISY_SUFFIX = "::noisy"
"""Names of the values that inject adds behind an array end so; strip finds the original by removing it."""
NODE_PREFIX = "nmtool/"
"""Names of the nodes that inject adds begin so."""
