"""Analog hardware: what holds the weights of each layer, and what stands around the arrays."""

from nmtool.hardware.hardware import Hardware, Layer

__all__ = ["Hardware", "Layer"]
