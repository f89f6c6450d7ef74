"""`nmtool sweep`: Monte-Carlo measurement of a metric against the noise level.

plan.py grid and points, models.py noisy models, evaluate.py one point, execute.py the points as work for executors,
store.py results on disk, statistics.py and tolerance.py what follows from them, result.py and plot.py their looks.
"""

from nmtool.verbs.sweep.experiment import sweep
from nmtool.verbs.sweep.plan import parse_etas
from nmtool.verbs.sweep.result import SweepResult

__all__ = ["SweepResult", "parse_etas", "sweep"]
