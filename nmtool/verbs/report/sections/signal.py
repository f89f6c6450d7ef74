"""Signal-to-noise ratio behind each layer."""

from nmtool.verbs.report.charts import Axis, bar
from nmtool.verbs.report.documents import Analyzed
from nmtool.verbs.report.section import Section
from nmtool.verbs.report.sources import Sources


def section(sources: Sources) -> Section | None:
    """A table with bars for each analysis that has the part."""
    tables = []
    for _, content in sources.contents(Analyzed):
        if content.snr:
            ratios = [ratio for layer in content.snr for ratio in (layer.propagated_db, layer.injected_db)]
            axis = Axis.of_bars("dB", ratios)
            rows = [(layer, bar(axis, layer.propagated_db), bar(axis, layer.injected_db)) for layer in content.snr]
            tables.append({"name": content.model.name, "axis": axis, "rows": rows})
    return Section("signal", "Signal and noise", {"tables": tables}) if tables else None
