"""Options that several commands share, so that each is described once."""

import functools
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nmtool.errors import UsageError

Option = functools.partial(typer.Option, show_envvar=False)  # they have a rule: docs/config.md

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="ONNX file", show_default=False)]
NewModel = Annotated[Path, Option("--output", "-o", metavar="FILE", help="ONNX file to write", show_default=False)]
Force = Annotated[bool, Option("--force", help="Overwrite output files that exist")]

Noise = Annotated[
    str,
    Option(
        "--noise",
        metavar="NAME[:KEY=VALUE,...]",
        help="Noise model, with its own parameters if any, such as stuck:high=0.5; `nmtool list noise` has all",
        autocompletion=lambda: _noise_names(),
    ),
]
Eta = Annotated[float, Option(metavar="X", help="Strength of the noise, a pure number >= 0")]
RelativeTo = Annotated[
    Literal["range", "max", "std"] | None,
    Option(
        help="What eta is a multiple of (gaussian): max W - min W, max |W|, or the standard deviation of W",
        show_default="range",
    ),
]
PerChannel = Annotated[bool, Option("--per-channel", help="Take that from each output channel, not the whole array")]
Seed = Annotated[int, Option("--seed", "-s", metavar="N", help="Seed of the noise, 64 bits")]
Include = Annotated[
    list[str] | None,
    Option("--include", metavar="GLOB", help="Only nodes with such a name; repeatable", show_default="all"),
]
Exclude = Annotated[
    list[str] | None, Option("--exclude", metavar="GLOB", help="Not nodes with such a name; repeatable")
]
IncludeOps = Annotated[
    list[str] | None,
    Option("--include-ops", metavar="TYPE", help="Only nodes of this op type; repeatable", show_default="all"),
]
ExcludeOps = Annotated[
    list[str] | None, Option("--exclude-ops", metavar="TYPE", help="Not nodes of this op type; repeatable")
]
SkipFirst = Annotated[int, Option("--skip-first", metavar="N", min=0, help="Keep the first N weight nodes digital")]
SkipLast = Annotated[int, Option("--skip-last", metavar="N", min=0, help="Keep the last N weight nodes digital")]
Dynamic = Annotated[
    bool, Option("--dynamic", help="Products of two activations (attention) get a noisy right operand too")
]
Trial = Annotated[
    int, Option("--trial", "-t", metavar="N", min=0, help="Which noise sample; the same trial is the same noise")
]
Scale = Annotated[float, Option(metavar="X", help="Factor on every standard deviation; 0 is the clean model")]


def parse_noise(text: str, **common: Any) -> Any:
    """The noise model that --noise and the options in `common` (those that are not None) describe.

    Raises:
        UsageError: the text is not NAME or NAME:KEY=VALUE,...; or the model refuses it.
    """
    from nmtool.noise import noise_model

    name, _, settings = text.partition(":")
    parameters = {key: value for key, value in common.items() if value is not None}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        try:
            parameters[key.strip()] = float(value)
        except ValueError:
            raise UsageError(f"--noise {text}: no number given for {key.strip()}", hint=f"{name}:KEY=NUMBER") from None
    return noise_model(name, parameters)


def _noise_names() -> list[str]:
    from nmtool.noise import NOISE_MODELS

    return list(NOISE_MODELS)
