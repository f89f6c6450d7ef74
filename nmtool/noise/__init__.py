"""Noise models, one per file, and the numpy reference of the noise itself."""
