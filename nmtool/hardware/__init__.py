"""Analog hardware: the periphery of arrays, and what it is calibrated to."""
