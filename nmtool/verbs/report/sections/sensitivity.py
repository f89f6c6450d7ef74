"""How much each layer's noise costs, alone."""

from dataclasses import dataclass
from typing import Any

from nmtool.verbs.report.charts import Axis, Bar, bar
from nmtool.verbs.report.documents import Analyzed, Estimate, LayerSensitivity
from nmtool.verbs.report.figures import unit
from nmtool.verbs.report.section import Section
from nmtool.verbs.report.sources import Sources


@dataclass(frozen=True)
class Loss:
    """What the metric loses without noise elsewhere; negative where it gains."""

    mean: float | None
    low: float | None
    high: float | None


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
    rows = [_row(layer, loss, axis) for layer, loss in zip(layers, losses, strict=True)]
    return {
        "name": analysis.model.name,
        "settings": settings,
        "unit": values,
        "axis": axis,
        "rows": rows,
        "correlation": analysis.gradient_rank_correlation,
        "notes": analysis.notes,
    }


def _row(layer: LayerSensitivity, loss: Loss, axis: Axis) -> tuple[LayerSensitivity, Bar | None]:
    return layer, bar(axis, loss.mean, loss.low, loss.high)


def _loss(only: Estimate | None, clean: float | None, higher_is_better: bool) -> Loss:
    if only is None or only.mean is None or clean is None:
        return Loss(None, None, None)
    if not higher_is_better:
        low, high = (None if end is None else end - clean for end in (only.low, only.high))
        return Loss(only.mean - clean, low, high)
    low, high = (None if end is None else clean - end for end in (only.high, only.low))
    return Loss(clean - only.mean, low, high)
