"""The coverage report of `inject` as text."""

from typing import TYPE_CHECKING

from nmtool.cli.output import number, percent, table

if TYPE_CHECKING:
    from nmtool.verbs.inject import CoverageReport

COLUMNS = ("node", "op", "weights", "shape", "status", "sigma", "/range", "/max|W|", "/std", "count", "MACs")
FIGURES = ("sigma", "/range", "/max|W|", "/std", "count", "MACs")


def print_coverage(report: "CoverageReport") -> None:
    """Per node: noisy, or digital and why; sigma three ways; then the shares of weights and MACs that are analog."""
    rows = [
        (
            row.name,
            row.op_type,
            row.weight or "-",
            "x".join(map(str, row.shape or ())) or "-",
            row.status if row.status == "noisy" else f"digital: {row.reason}",
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
