"""Plots that look alike."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmtool.atomic import written_whole
from nmtool.errors import SetupError, UsageError
from nmtool.metrics import is_share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE: dict[str, Any] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": "cycler(color=['0072B2', 'D55E00', '009E73', 'CC79A7', 'E69F00', '56B4E9', '000000'])",
    "font.size": 10,
    "grid.color": "0.9",
    "legend.frameon": False,
    "svg.hashsalt": "nmtool",  # element ids are otherwise random: equal results give equal files
}


@contextmanager
def figure(paths: Sequence[Path], size: tuple[float, float] = (6.4, 4.0)) -> Iterator["Figure"]:
    """A figure to draw in, saved at every path when the block ends; the suffix (.svg, .png, .pdf) decides the format.

    Args:
        paths: where to.
        size: width and height in inches.

    Raises:
        SetupError: matplotlib is not installed.
        UsageError: a path has a suffix matplotlib does not know.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SetupError("plots need matplotlib", hint="pip install 'nmtool[report]'") from error
    known = FigureCanvasAgg.get_supported_filetypes()
    for path in paths:
        if path.suffix.removeprefix(".") not in known:
            raise UsageError(f"no plot can be written as {path.name}", hint="end the name in .svg, .png or .pdf")
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # the stubs want each key as a literal
        drawn = Figure(figsize=size, layout="constrained")
        yield drawn
        for path in paths:
            date = {"Date": None} if path.suffix == ".svg" else {}
            with written_whole(path) as staged:
                drawn.savefig(staged, dpi=200, metadata=date)


def percents(metric: str) -> float:
    """100 where the metric is shown in percent, else 1."""
    return 100.0 if is_share(metric) else 1.0


def unit_of(metric: str) -> str:
    """The metric's name on an axis."""
    return f"{metric} (%)" if percents(metric) > 1 else metric
