"""The options that replace settings of a recipe: one for each, unset unless given."""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Annotated, Any

from nmtool.cli.options import Option
from nmtool.recipes import BatchNormMode, ClipPer, EtaSchedule, Optimizer, Schedule

_Setting = functools.partial(Option, rich_help_panel="recipe", show_default="the recipe's")


@dataclass(frozen=True)
class RecipeOptions:
    """Settings that are not to be the recipe's; nmtool.recipes.Recipe says what each means."""

    epochs: Annotated[int | None, _Setting(metavar="N", help="Passes over the training data")] = None
    accumulate: Annotated[int | None, _Setting(metavar="N", help="Forward passes per step")] = None
    lr: Annotated[float | None, _Setting(metavar="X", help="Largest learning rate")] = None
    optimizer: Annotated[Optimizer | None, _Setting(help="SGD with Nesterov momentum, or AdamW")] = None
    momentum: Annotated[float | None, _Setting(metavar="X", help="Of sgd")] = None
    weight_decay: Annotated[float | None, _Setting(metavar="X", help="On weights of two and more axes")] = None
    schedule: Annotated[Schedule | None, _Setting(help="How the learning rate falls")] = None
    warmup: Annotated[float | None, _Setting(metavar="SHARE", help="Part of the training in which it rises")] = None
    gradient_clip: Annotated[float | None, _Setting(metavar="X", help="Largest norm of the gradient; 0: any")] = None
    sharpness: Annotated[
        float | None, _Setting(metavar="RHO", help="Radius of sharpness-aware steps, at twice the time")
    ] = None
    ema: Annotated[float | None, _Setting(metavar="X", help="Keep averaged weights, of this decay per step")] = None
    alpha: Annotated[float | None, _Setting(metavar="A", help="(1 - A) CE + A T^2 KL; 1 needs no labels")] = None
    temperature: Annotated[float | None, _Setting(metavar="T", help="Of the distillation")] = None
    label_smoothing: Annotated[float | None, _Setting(metavar="X", help="Share of the label for all classes")] = None
    features: Annotated[
        float | None, _Setting(metavar="X", help="Weight of matching the clean activations behind noisy nodes")
    ] = None
    draws: Annotated[int | None, _Setting(metavar="K", help="Noise samples per batch")] = None
    antithetic: Annotated[
        bool | None, _Setting("--antithetic/--no-antithetic", help="Draw pairs of opposite noise")
    ] = None
    eta_factor: Annotated[float | None, _Setting(metavar="X", help="Noise in training relative to --eta")] = None
    eta_schedule: Annotated[EtaSchedule | None, _Setting(help="How strong the noise of a step is")] = None
    eta_ramp: Annotated[float | None, _Setting(metavar="SHARE", help="Part of the training in which it rises")] = None
    eta_spread: Annotated[float | None, _Setting(metavar="X", help="Relative spread of a random strength")] = None
    clip: Annotated[
        float | None,
        _Setting(metavar="K", help="Limit of analog weights, in deviations of the original ones; 0: none"),
    ] = None
    clip_start: Annotated[float | None, _Setting(metavar="K", help="Limit at the start, if another")] = None
    clip_per: Annotated[ClipPer | None, _Setting(help="Whose standard deviation")] = None
    batchnorm: Annotated[BatchNormMode | None, _Setting(help="What happens to running statistics")] = None
    batchnorm_freeze: Annotated[
        float | None, _Setting(metavar="SHARE", help="Part of the training after which these are used and kept")
    ] = None
    augment: Annotated[
        list[str] | None, _Setting(metavar="WHAT", help="flip, crop:PIXELS or module:function; repeatable")
    ] = None

    def settings(self) -> dict[str, Any]:
        """The settings that were given, by name."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in given.items() if value not in (None, [])}
