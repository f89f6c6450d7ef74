"""Home of the built operator library (libnmtool_ops); see nmtool.library."""
