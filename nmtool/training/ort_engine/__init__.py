"""Training through onnxruntime-training, in a process of its own; experimental (docs/commands/engine.md)."""
