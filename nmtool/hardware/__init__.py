"""Analog hardware: what holds the weights of each layer, and what stands around the arrays."""

from nmtool.hardware.choice import at_strength_one, resolved, strength
from nmtool.hardware.hardware import AnalogNoise, Digital, Hardware, Layer

__all__ = ["AnalogNoise", "Digital", "Hardware", "Layer", "at_strength_one", "resolved", "strength"]
