"""How much each layer's noise costs, alone."""

from typing import Any

from nmtool.verbs.report.charts import Axis, bar
from nmtool.verbs.report.documents import Analyzed, Estimate
from nmtool.verbs.report.figures import unit
from nmtool.verbs.report.section import Section
from nmtool.verbs.report.sources import Sources


def section(sources: Sources) -> Section | None:
    """A table with bars for each analysis that has the part."""
    tables = [_table(content) for _, content in sources.contents(Analyzed) if content.sensitivity]
    return Section("sensitivity", "Sensitivity of the layers", {"tables": tables}) if tables else None


def _table(analysis: Analyzed) -> dict[str, Any]:
    settings, values = analysis.settings, unit(analysis.settings.metric)
    layers = sorted(analysis.sensitivity, key=lambda layer: layer.rank)
    losses = [_loss(layer.only, settings.clean, settings.higher_is_better) for layer in layers]
    ends = [end for loss in losses for end in (loss.mean, loss.low, loss.high)]
    axis = Axis.of_bars(f"loss of {values.title}", ends, values.factor)
    bars = [bar(axis, loss.mean, loss.low, loss.high) for loss in losses]
    return {
        "name": analysis.model.name,
        "settings": settings,
        "unit": values,
        "axis": axis,
        "rows": list(zip(layers, bars, strict=True)),
        "correlation": analysis.gradient_rank_correlation,
        "notes": analysis.notes,
    }


def _loss(only: Estimate | None, clean: float | None, higher_is_better: bool) -> Estimate:
    """What the metric loses; negative where it gains."""
    if only is None or clean is None:
        return Estimate(None)
    sign = 1 if higher_is_better else -1
    mean, low, high = (None if value is None else sign * (clean - value) for value in (only.mean, only.low, only.high))
    return Estimate(mean, high, low) if higher_is_better else Estimate(mean, low, high)
