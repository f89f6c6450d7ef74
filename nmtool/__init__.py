"""nmtool: analog noise for ONNX models."""
