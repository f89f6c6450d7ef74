"""The options of the commands that put noise into a model: which noise, and where."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nmtool.cli.options import Option
from nmtool.cli.selection_options import SelectionOptions
from nmtool.errors import UsageError

if TYPE_CHECKING:
    from nmtool.hardware import AnalogNoise


def _noise_names() -> list[str]:
    from nmtool.noise import DEVICES, NOISE_MODELS

    return [*NOISE_MODELS, *DEVICES]


def profiles() -> list[str]:
    """Names of the shipped hardware profiles, for completion."""
    from nmtool.hardware.profile import shipped

    return list(shipped())


@dataclass(frozen=True)
class NoiseChoice:
    """Which noise, and how it is sized."""

    hardware: Annotated[
        str | None,
        Option(
            "--hardware",
            metavar="NAME|FILE",
            help="Profile of analog hardware instead of a noise model: `nmtool list hardware`, or a TOML file",
            autocompletion=profiles,
        ),
    ] = None
    changes: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="Change the hardware, as time=1h or weights.scale=array; repeatable"),
    ] = None
    calibration: Annotated[
        Path | None,
        Option("--calibration", metavar="FILE", help="Ranges of the hardware's converters, of `nmtool calibrate`"),
    ] = None
    noise: Annotated[
        str,
        Option(
            metavar="NAME[:KEY=VALUE,...]",
            help="Noise model or device, with parameters if any, such as stuck:high=0.5; `nmtool list noise` has all",
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

    def model(self, eta: float | None) -> "AnalogNoise":
        """The hardware, or the noise model at strength `eta`; None: at its default.

        Raises:
            UsageError: a value is not of its form, or refused, or options exclude each other.
        """
        if self.hardware is not None:
            return self._profile(self.hardware, eta)
        if self.changes or self.calibration is not None:
            given = "--set" if self.changes else "--calibration"
            raise UsageError(f"{given} is for hardware", hint="name it with --hardware")
        from nmtool.hardware.profile import parsed
        from nmtool.noise import noise_model

        name, _, settings = self.noise.partition(":")
        parameters: dict[str, Any] = {} if eta is None else {"eta": eta}
        if self.relative_to is not None:
            parameters["relative_to"] = self.relative_to
        for setting in filter(None, settings.split(",")):
            key, _, value = setting.partition("=")
            parameters[key] = parsed(value)
        return noise_model(name, parameters)

    def _profile(self, hardware: str, eta: float | None) -> "AnalogNoise":
        from nmtool.hardware.profile import load

        others = {
            "--noise": self.noise != "gaussian",
            "--relative-to": self.relative_to,
            "--per-channel": self.per_channel,
        }
        if given := [name for name, value in others.items() if value]:
            raise UsageError(f"{given[0]} does not go with --hardware", hint="--set changes the hardware")
        if eta not in (None, 1.0):
            raise UsageError(f"hardware has no strength: it is as it is, not eta {eta}", hint="see --set, and `sweep`")
        return load(hardware, self.changes or (), self.calibration)


@dataclass(frozen=True)
class NoiseOptions(SelectionOptions, NoiseChoice):  # in the help, fields of the last base come first
    """Which noise, and where; eta is the command's own."""

    dynamic: Annotated[
        bool, Option("--dynamic", help="Products of two activations (attention) get a noisy right operand too")
    ] = False

    def placement(self) -> dict[str, Any]:
        """Where the noise goes, as keyword arguments of `nmtool.inject`."""
        return {"per_channel": self.per_channel, **self.selection(), "dynamic": self.dynamic}
