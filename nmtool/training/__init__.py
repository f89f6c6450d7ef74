"""Training in torch: the only sub-package that imports it."""
