"""The results of `inject` and `sweep` as text."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nmtool.cli.output import number, percent, table

if TYPE_CHECKING:
    from nmtool.passes.report import CoverageReport
    from nmtool.verbs.sweep import SweepResult
    from nmtool.verbs.sweep.tolerance import Tolerance


def print_coverage(report: "CoverageReport") -> None:
    """Per node: noisy, or digital and why; sigma three ways; then the shares of weights and MACs that are analog."""
    rows = [
        (
            row.name,
            row.op_type,
            row.array or "-",
            "x".join(map(str, row.shape)) or "-",
            f"{row.weights:,}",
            "-" if row.macs is None else f"{row.macs:,}",
            number(row.sigma),
            number(row.sigma_range),
            number(row.sigma_max),
            number(row.sigma_std),
            f"{row.status}: {row.reason}" if row.reason else row.status,
        )
        for row in report.nodes
    ]
    figures = ("weights", "MACs", "sigma", "/range", "/max|W|", "/std")
    table(("node", "op", "array", "shape", *figures, "status"), rows, right=figures)
    print(f"analog: {percent(report.weight_share)} of weights, {percent(report.mac_share)} of MACs")
    for note in report.notes:
        print(f"note: {note}")


def print_sweep(result: "SweepResult", tolerances: Mapping[str, "Tolerance"]) -> None:
    """Mean, spread and confidence at each strength of the noise; then how much each model bears."""
    rows = [
        (
            row.model,
            f"{row.eta:g}",
            str(row.summary.trials),
            number(row.summary.mean, 4),
            number(row.summary.std, 2),
            interval(row.summary.low, row.summary.high, 4),
        )
        for row in result.summary()
    ]
    figures = ("eta", "trials", result.metric, "std", "95 % interval")
    table(("model", *figures), rows, right=figures)
    for model, tolerance in tolerances.items():
        bound = "at least " if tolerance.beyond_grid else ""
        ends = interval(tolerance.low, tolerance.high, 3)
        print(f"eta* of {model}: {bound}{number(tolerance.eta)} ({ends}) for a drop of {tolerance.drop:g}")


def interval(low: float | None, high: float | None, digits: int) -> str:
    """Both ends as text; a dash where there are none."""
    return "-" if low is None else f"{number(low, digits)} to {number(high, digits)}"
