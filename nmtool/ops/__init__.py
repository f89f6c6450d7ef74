"""The operators of domain `nmtool` as ONNX functions: primitives and the composites built on them."""

DOMAIN = "nmtool"
VERSION = 1
EXACT_OPSET = 18
"""From this opset of ai.onnx on, the primitives' bodies give the specified values; below, the right distribution."""
