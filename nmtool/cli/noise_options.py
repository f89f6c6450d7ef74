"""The options of the commands that put noise into a model: which noise, and where."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nmtool.cli.options import Option
from nmtool.cli.selection_options import SelectionOptions
from nmtool.errors import UsageError

if TYPE_CHECKING:
    from nmtool.noise.base import NoiseModel
    from nmtool.noise.cell import Cell


def _noise_names() -> list[str]:
    from nmtool.noise import DEVICES, NOISE_MODELS

    return [*NOISE_MODELS, *DEVICES]


@dataclass(frozen=True)
class NoiseChoice:
    """Which noise, and how it is sized."""

    noise: Annotated[
        str,
        Option(
            metavar="NAME[:KEY=VALUE,...]",
            help="Noise model, with its own parameters if any, such as stuck:high=0.5; `nmtool list noise` has all",
            autocompletion=_noise_names,
        ),
    ] = "gaussian"
    relative_to: Annotated[
        Literal["range", "max", "std"] | None,
        Option(
            help="What eta is a multiple of (gaussian): max W - min W, max |W|, or the standard deviation of W",
            show_default="range",
        ),
    ] = None
    per_channel: Annotated[
        bool, Option("--per-channel", help="Take that from each output channel, not from the whole array")
    ] = False
    seed: Annotated[int, Option("--seed", "-s", metavar="N", help="Seed of the noise, 64 bits")] = 0

    def model(self, eta: float | None) -> "NoiseModel | Cell":
        """The noise model at strength `eta`; None: at its default.

        Raises:
            UsageError: --noise is not of its form, or the model refuses a parameter.
        """
        from nmtool.noise import noise_model

        name, _, settings = self.noise.partition(":")
        parameters: dict[str, Any] = {} if eta is None else {"eta": eta}
        if self.relative_to is not None:
            parameters["relative_to"] = self.relative_to
        for setting in filter(None, settings.split(",")):
            key, _, value = setting.partition("=")
            try:
                parameters[key] = float(value)
            except ValueError:
                raise UsageError(f"--noise {name} takes KEY=NUMBER after the colon, not: {setting}") from None
        return noise_model(name, parameters)


@dataclass(frozen=True)
class NoiseOptions(SelectionOptions, NoiseChoice):  # in the help, fields of the last base come first
    """Which noise, and where; eta is the command's own."""

    dynamic: Annotated[
        bool, Option("--dynamic", help="Products of two activations (attention) get a noisy right operand too")
    ] = False

    def placement(self) -> dict[str, Any]:
        """Where the noise goes, as keyword arguments of `nmtool.inject`."""
        return {"per_channel": self.per_channel, **self.selection(), "dynamic": self.dynamic}
