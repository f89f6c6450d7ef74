"""Deployment checks: is a model fit to ship, on whatever runs it? One rule per file in `nmtool/checks/rules/`."""
