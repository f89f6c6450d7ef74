"""Results in the metadata of nodes, where viewers such as Netron show them."""

import os
from collections.abc import Iterator
from pathlib import Path

from nmtool.reimport import Source, reimport
from nmtool.verbs.analyze.result import Analysis
from nmtool.verbs.sweep.statistics import Summary


def annotate(
    analysis: Analysis, source: Source, output: str | os.PathLike[str], *, force: bool = False
) -> tuple[Path, ...]:
    """Write the model with the results in the metadata of its nodes; all else stays the same to the byte.

    Args:
        analysis: of the model.
        source: the model that was analysed.
        output: where to write it.
        force: overwrite files that exist.

    Returns:
        The files that were written, the model last.

    Raises:
        UsageError: a file exists and `force` is not given, or the folder cannot be written to.
        ModelError: the model cannot be read.
    """
    return reimport(source, {}, output, nodes=metadata(analysis), force=force).files


def metadata(analysis: Analysis) -> dict[str, dict[str, str]]:
    """The entries by node and key."""
    found: dict[str, dict[str, str]] = {}
    for node, key, text in _entries(analysis):
        entries = found.setdefault(node, {})
        name = f"nmtool.{key}"
        entries[name] = f"{entries[name]}; {text}" if name in entries else text
    return found


def _entries(analysis: Analysis) -> Iterator[tuple[str, str, str]]:
    name = analysis.settings.metric
    layers = () if analysis.sensitivity is None else analysis.sensitivity.layers
    for row in layers:
        for node in row.layer.nodes:
            yield node, "sensitivity", f"{row.layer.array}: rank {row.rank} of {len(layers)}"
            if row.only is not None and row.all_but is not None:
                only, rest = _figures(row.only), _figures(row.all_but)
                yield node, "sensitivity", f"{name} {only} with its noise alone, {rest} with all but its noise"
    for signal in analysis.snr or ():
        if signal.injected_db is not None and signal.propagated_db is not None:
            propagated, injected = f"{signal.propagated_db:.1f} dB", f"{signal.injected_db:.1f} dB"
            yield signal.node, "snr", f"{propagated} with noise in all layers, {injected} with its noise alone"
    for bits in () if analysis.information is None else analysis.information.layers:
        yield bits.node, "information", f"at least {bits.infonce:.2f} bits about the input"
    if analysis.precision is not None:
        for node in analysis.precision.digital:
            yield node, "precision", f"keep it digital, for {analysis.precision.gate}"


def _figures(found: Summary) -> str:
    interval = "" if found.low is None else f" ({found.low:.4g} to {found.high:.4g})"
    return f"{found.mean:.4g}{interval}"
