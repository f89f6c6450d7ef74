"""What nmtool does: one module or package per verb, each a Python function of the verb's name."""
