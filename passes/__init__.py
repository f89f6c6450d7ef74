"""Graph to graph transformations: everything that rewrites an ONNX model, on onnx_ir alone."""
