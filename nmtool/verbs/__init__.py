"""The verbs of nmtool, one per file: Python functions that the command line mirrors."""
