"""`python -m nmtool`."""

from nmtool.cli.app import main

main()
