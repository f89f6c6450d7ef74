"""The coverage report of `inject` as text."""

from typing import TYPE_CHECKING

from nmtool.cli.output import number, percent, table

if TYPE_CHECKING:
    from nmtool.passes.report import CoverageReport

COLUMNS = ("node", "op", "array", "shape", "status", "sigma", "/range", "/max|W|", "/std", "weights", "MACs")
FIGURES = ("sigma", "/range", "/max|W|", "/std", "weights", "MACs")


def print_coverage(report: "CoverageReport") -> None:
    """Per node: noisy, or digital and why; sigma three ways; then the shares of weights and MACs that are analog."""
    rows = [
        (
            row.name,
            row.op_type,
            row.array or "-",
            "x".join(map(str, row.shape)) or "-",
            f"{row.status}: {row.reason}" if row.reason else row.status,
            number(row.sigma),
            number(row.sigma_range),
            number(row.sigma_max),
            number(row.sigma_std),
            f"{row.weights:,}" if row.weights else "-",
            f"{row.macs:,}" if row.macs else "-",
        )
        for row in report.nodes
    ]
    table(COLUMNS, rows, right=FIGURES)
    print(f"analog: {percent(report.weight_share)} of weights, {percent(report.mac_share)} of MACs")
    for note in report.notes:
        print(f"note: {note}")
