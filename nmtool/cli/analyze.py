"""`nmtool analyze`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmtool.cli.command import command, examples
from nmtool.cli.data_options import DataSource
from nmtool.cli.measurement_options import MeasurementOptions
from nmtool.cli.noise_options import NoiseOptions
from nmtool.cli.options import Force, Option
from nmtool.cli.output import Output, interval, number, percent, refuse_overwriting, table
from nmtool.cli.progress import progress
from nmtool.errors import UsageError

if TYPE_CHECKING:
    from nmtool.verbs.analyze.precision import Precision
    from nmtool.verbs.analyze.result import Analysis, Information
    from nmtool.verbs.analyze.sensitivity import Sensitivities
    from nmtool.verbs.analyze.snr import Signal
    from nmtool.verbs.sweep.statistics import Summary

EXAMPLES = examples(
    "nmtool analyze digits.onnx --data digits.npz --eta 0.1 -n 100 --trials 3 --draws 8 -o analysis",
    "nmtool analyze digits.onnx --data digits.npz --eta 0.1 --part sensitivity --gradient 0 --trials 2 -o layers",
    "nmtool analyze digits.onnx --data digits.npz --eta 0.1 --gate 'top1>=0.9' --part precision --trials 3 -o advice",
)


@command
def analyze(
    out: Output,
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...", help="ONNX files; the first is analysed, all have a curve", show_default=False
        ),
    ],
    data: DataSource,
    noise: NoiseOptions,
    measurement: MeasurementOptions,
    folder: Annotated[
        Path, Option("--output", "-o", metavar="FOLDER", help="Where everything is written", show_default=False)
    ],
    parts: Annotated[
        str | None,
        Option(
            "--part",
            metavar="LIST",
            help="Of sensitivity, snr, information and precision, with commas between",
            show_default="the first two, and what labels and a gate allow",
        ),
    ] = None,
    eta: Annotated[
        float | None,
        Option(metavar="X", help="Strength of the noise", show_default="a noisy model's own; 0.05; hardware: 1"),
    ] = None,
    budget: Annotated[
        int | None,
        Option(metavar="N", help="Measure only the N layers with the largest estimates", show_default="all"),
    ] = None,
    gradient: Annotated[int, Option(metavar="N", help="Backward passes of these estimates; 0: none")] = 128,
    curve: Annotated[
        str | None,
        Option(metavar="LIST", help="Strengths for curves of information, as in sweep", show_default="0 to twice eta"),
    ] = None,
    draws: Annotated[int, Option(metavar="N", help="Noise samples of information at each strength")] = 50,
    gate: Annotated[
        str | None, Option(metavar="CONDITION", help="What the advice on precision is to meet, as 'top1>=0.95'")
    ] = None,
    cost: Annotated[Literal["macs", "weights"], Option(help="What digital layers cost")] = "macs",
    annotate: Annotated[
        Path | None, Option(metavar="FILE", help="Write the model with the results in its nodes' metadata")
    ] = None,
    force: Force = False,
) -> None:
    """Find out which layers noise hurts, what is left of signal and information, and what to keep digital."""
    import nmtool
    from nmtool.verbs.analyze.annotate import annotate as write_annotated
    from nmtool.verbs.analyze.result import JSON, POINTS

    _require_folder(folder)
    refuse_overwriting([folder / JSON if folder.exists() else None, annotate], force)
    with _made(folder), progress(out, "analyze") as report:
        found = nmtool.analyze(
            models,
            data.data,
            parts=parts,
            eta=eta,
            noise=noise.model(eta=1.0),
            seed=noise.seed,
            budget=budget,
            gradient=gradient,
            curve=curve,
            draws=draws,
            gate=gate,
            cost=cost,
            results=folder / POINTS,
            data_options=data.options(measurement.labels),
            progress=report,
            injection=noise.placement(),
            **measurement.measurement(),
        )
    files = found.save(folder, force=force)
    if annotate:
        files += write_annotated(found, models[0], annotate, force=force)
    out.result(found.to_json(), lambda: _print(found))
    for path in files:
        out.note(f"wrote: {path}")


def _require_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"output is no folder: {folder}", hint="-o takes a folder, which is made")
    if not folder.parent.is_dir():
        raise UsageError(f"no such folder: {folder.parent}", hint=f"mkdir -p {folder.parent}")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """The folder, which is not left behind empty when the block fails."""
    new = not folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        yield
    except BaseException:
        if new and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _print(found: "Analysis") -> None:
    settings = found.settings
    print(f"{found.name} at eta {settings.eta:g}: {settings.metric} {number(settings.clean, 4)} without noise", end="")
    print("" if settings.noisy is None else f", {_figures(settings.noisy)} with noise in all layers")
    if found.sensitivity is not None:
        _print_sensitivity(found.sensitivity, settings.metric)
    if found.snr is not None:
        _print_signals(found.snr)
    if found.information is not None:
        _print_information(found.information)
    if found.precision is not None:
        _print_precision(found.precision)
    for note in found.notes:
        print(f"note: {note}")


def _print_sensitivity(found: "Sensitivities", metric: str) -> None:
    rows = [
        (
            row.layer.node,
            row.layer.array,
            f"{row.layer.weights:,}",
            "-" if row.layer.macs is None else f"{row.layer.macs:,}",
            "-" if row.only is None else _figures(row.only),
            "-" if row.all_but is None else _figures(row.all_but),
            number(row.gradient, 2),
        )
        for row in found.layers
    ]
    figures = ("weights", "MACs", f"{metric}, noise only here", "noise all but here", "gradient")
    print()
    table(("layer", "array", *figures), rows, right=figures)
    if found.rank_correlation is not None:
        print(f"rank correlation of gradients with the loss: {found.rank_correlation:.2f}")


def _print_signals(found: "Sequence[Signal]") -> None:
    rows = [
        (row.node, *map(number, (row.propagated_db, row.propagated_bits, row.injected_db, row.injected_bits)))
        for row in found
    ]
    figures = ("SNR (dB)", "bits", "its noise alone (dB)", "bits of it")
    print()
    table(("layer", *figures), rows, right=figures)


def _print_information(found: "Information") -> None:
    rows = [
        (curve.name, f"{p.eta:g}", *(number(x) for x in (p.read, p.chip, p.label, p.label_chip)), percent(p.accuracy))
        for curve in found.curves
        for p in curve.points
    ]
    figures = ("eta", "I(X;Y) read", "chip", "I(label;Y) read", "chip ", "accuracy")
    print()
    table(("model", *figures), rows, right=figures)
    known = found.labels.entropy
    print(f"bits; the labels have {number(known)}, the samples {number(found.labels.input_bits)}")
    layers = [(row.node, *map(number, (row.infonce, row.linear_low, row.linear_high))) for row in found.layers]
    if layers:
        bounds = ("at least", "its noise alone, at least", "at most")
        print()
        table(("layer", *bounds), layers, right=bounds)


def _print_precision(found: "Precision") -> None:
    rows = [
        (
            step.action,
            " ".join(step.layers) or "-",
            _figures(step.metric),
            percent(step.mac_share),
            percent(step.weight_share),
        )
        for step in found.steps
    ]
    figures = (found.gate.metric, "analog MACs", "analog weights")
    print()
    table(("step", "layers", *figures), rows, right=figures)
    confirmed = "-" if found.confirmation is None else _figures(found.confirmation)
    print(f"{found.gate}: {'holds' if found.met else 'does not hold'}; confirmed with other noise: {confirmed}")
    print(f"digital: {', '.join(found.digital) or 'nothing'}")


def _figures(found: "Summary") -> str:
    return f"{number(found.mean, 4)} ({interval(found.low, found.high, 3)})"
