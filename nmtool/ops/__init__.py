"""The operators of domain `nmtool` as ONNX functions: primitives and the composites built on them."""

DOMAIN = "nmtool"
VERSION = 1
EXACT_OPSET = 18
"""From this opset of ai.onnx on, the primitives' bodies give the specified values; below, the right distribution."""

TRIAL, SCALE, RUN, TIME = "noise_trial", "noise_scale", "noise_run", "noise_time"
"""The run-time inputs: number of the chip, strength, number of the run's sample, and seconds since programming."""
LAYERS = "noise_scales"
"""The run-time input of `nmtool.passes.layer_scales`: a factor on the strength for each noisy array."""
