"""Training of noise-tolerant models in torch, and the way back into the ONNX file they came from."""
