"""The command line: parse, call the Python API, format. No logic lives here, and nothing imports it."""
