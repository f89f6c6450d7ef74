"""What nmtool does, one verb per module; the package exports the functions."""
