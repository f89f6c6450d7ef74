"""`nmtool list`."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from nmtool.cli.command import command, examples
from nmtool.cli.output import Output, table

EXAMPLES = examples("nmtool list", "nmtool list noise", "nmtool list metrics --json")

Kind = Literal["noise", "hardware", "recipes", "ops", "metrics", "backends"]


@command
def list_(
    out: Output,
    kind: Annotated[Kind | None, typer.Argument(help="What to list", show_default="everything")] = None,
) -> None:
    """List the noise models, hardware, recipes, operators, metrics and backends there are."""
    listed: dict[str, dict[str, str]] = {name: LISTS[name]() for name in ([kind] if kind else LISTS)}

    def text() -> None:
        for name, entries in listed.items():
            table((name, "what it is"), entries.items())
            print()

    out.result(listed, text)


def _noise() -> dict[str, str]:
    from nmtool.noise import DEVICES, NOISE_MODELS

    models: dict[str, Any] = {**NOISE_MODELS, **DEVICES}
    return {name: f"{_first_line(model)} ({_defaults(model)})" for name, model in models.items()}


def _hardware() -> dict[str, str]:
    from nmtool.hardware.profile import shipped

    return shipped()


def _recipes() -> dict[str, str]:
    from nmtool.recipes import shipped

    return shipped()


def _ops() -> dict[str, str]:
    from nmtool.ops.analog import ANALOG_OPS, DIGITAL_OPS

    analog = {_op(key): "analog" for key in ANALOG_OPS}
    return analog | {_op(key): f"digital: {reason}" for key, reason in DIGITAL_OPS.items()}


def _metrics() -> dict[str, str]:
    from nmtool.metrics import METRICS

    return {name: f"{'higher' if metric.higher_is_better else 'lower'} is better" for name, metric in METRICS.items()}


def _backends() -> dict[str, str]:
    from nmtool.backends import availability, names

    def state(name: str) -> str:
        found = availability(name)
        return found.version or f"absent: {found.reason}" + (f" ({found.hint})" if found.hint else "")

    return {name: state(name) for name in names()}


def _op(key: tuple[str, str]) -> str:
    domain, op_type = key
    return f"{domain}::{op_type}" if domain else op_type


def _first_line(thing: Any) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _defaults(model: Any) -> str:
    return ", ".join(f"{field.name}={field.default}" for field in dataclasses.fields(model))


LISTS: dict[Kind, Callable[[], dict[str, str]]] = {
    "noise": _noise,
    "hardware": _hardware,
    "recipes": _recipes,
    "ops": _ops,
    "metrics": _metrics,
    "backends": _backends,
}
