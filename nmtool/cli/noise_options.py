"""The options of the commands that put noise into a model: which noise, and where."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nmtool.cli.options import Option
from nmtool.errors import UsageError

if TYPE_CHECKING:
    from nmtool.noise.base import NoiseModel


def _noise_names() -> list[str]:
    from nmtool.noise import NOISE_MODELS

    return list(NOISE_MODELS)


@dataclass(frozen=True)
class NoiseOptions:
    """Which noise, and where; eta is the command's own."""

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
    include: Annotated[
        list[str] | None, Option(metavar="GLOB", help="Only nodes with such a name; repeatable", show_default="all")
    ] = None
    exclude: Annotated[list[str] | None, Option(metavar="GLOB", help="Not nodes with such a name; repeatable")] = None
    include_ops: Annotated[
        list[str] | None, Option(metavar="TYPE", help="Only nodes of this op type; repeatable", show_default="all")
    ] = None
    exclude_ops: Annotated[list[str] | None, Option(metavar="TYPE", help="Not nodes of this op type; repeatable")] = (
        None
    )
    skip_first: Annotated[int, Option(metavar="N", min=0, help="Keep the first N weight nodes digital")] = 0
    skip_last: Annotated[int, Option(metavar="N", min=0, help="Keep the last N weight nodes digital")] = 0
    dynamic: Annotated[
        bool, Option("--dynamic", help="Products of two activations (attention) get a noisy right operand too")
    ] = False

    def model(self, eta: float) -> "NoiseModel":
        """The noise model at strength `eta`.

        Raises:
            UsageError: --noise is not of its form, or the model refuses a parameter.
        """
        from nmtool.noise import noise_model

        name, _, settings = self.noise.partition(":")
        parameters: dict[str, Any] = {"eta": eta}
        if self.relative_to is not None:
            parameters["relative_to"] = self.relative_to
        for setting in filter(None, settings.split(",")):
            key, _, value = setting.partition("=")
            try:
                parameters[key] = float(value)
            except ValueError:
                raise UsageError(f"--noise {name} takes KEY=NUMBER after the colon, not: {setting}") from None
        return noise_model(name, parameters)

    def placement(self) -> dict[str, Any]:
        """Where the noise goes, as keyword arguments of `nmtool.inject`."""
        return {
            "per_channel": self.per_channel,
            "include": self.include or (),
            "exclude": self.exclude or (),
            "include_ops": self.include_ops or (),
            "exclude_ops": self.exclude_ops or (),
            "skip_first": self.skip_first,
            "skip_last": self.skip_last,
            "dynamic": self.dynamic,
        }
