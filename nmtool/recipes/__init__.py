"""Recipes: how to train for noise tolerance, as TOML files with a value for whatever differs from the defaults."""

import dataclasses
import difflib
import os
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self, get_args

from nmtool.errors import UsageError

EtaSchedule = Literal["constant", "ramp", "random"]
BatchNormMode = Literal["update", "frozen", "recalibrate"]
Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["constant", "linear", "cosine"]
ClipPer = Literal["array", "channel"]


@dataclass(frozen=True)
class Recipe:
    """How to train. Shares are fractions of the whole training.

    Attributes:
        alpha: weight a of the teacher in the loss (1 - a) CE + a T^2 KL; 1 needs no labels, 0 no teacher.
        temperature: T of that loss.
        label_smoothing: share of the label that goes to all classes alike.
        features: weight of matching the teacher's clean activations behind every noisy node; 0 for none.
        epochs: passes over the training data.
        batch_size: samples per forward pass and process.
        accumulate: forward passes whose gradients make one step.
        draws: noise samples per batch over which the gradient is averaged.
        antithetic: whether draws come in pairs of opposite noise.
        eta_factor: noise in training relative to the noise that the model shall bear.
        eta_schedule: "constant"; "ramp": from 0 in the first part of the training; "random": a new strength each step.
        eta_ramp: that part, as a share.
        eta_spread: standard deviation of the random strength, relative to eta.
        clip: limit of the analog weights in standard deviations of the original weights; 0 for none.
        clip_start: limit at the start, from which it moves to `clip` in the first half; 0 for `clip` throughout.
        clip_per: whether the deviation is that of the array or of each output channel.
        batchnorm: running statistics "update" under noise, stay "frozen" (and are used), or are updated and then
            "recalibrate"d under noise before each validation.
        batchnorm_freeze: share of the training after which the running statistics are taken anew under noise and then
            used, as in the finished model: batch statistics hide how far the noise of one chip shifts a channel.
        optimizer: "sgd" or "adamw".
        lr: largest learning rate.
        momentum: of sgd (Nesterov's).
        weight_decay: on weights of two and more axes.
        schedule: how the learning rate falls to 0.
        warmup: share in which it rises linearly.
        gradient_clip: largest norm of the gradient; 0 for no limit. Logits in the hundreds, as models without a
            normalization have them, give gradients that wipe the weights out in one step.
        sharpness: radius of sharpness-aware steps: the gradient is taken again where it leads uphill at this distance,
            at twice the cost (Foret et al. 2021, arXiv:2010.01412); 0 for none.
        ema: decay per step of the average of weights that is validated and kept; 0 for none.
        augment: "flip", "crop:PIXELS", "module:function"; none by default.
    """

    alpha: float = 1.0
    temperature: float = 4.0
    label_smoothing: float = 0.0
    features: float = 0.0
    epochs: int = 10
    batch_size: int = 128
    accumulate: int = 1
    draws: int = 1
    antithetic: bool = False
    eta_factor: float = 1.0
    eta_schedule: EtaSchedule = "constant"
    eta_ramp: float = 0.3
    eta_spread: float = 0.25
    clip: float = 0.0
    clip_start: float = 0.0
    clip_per: ClipPer = "array"
    batchnorm: BatchNormMode = "update"
    batchnorm_freeze: float = 1.0
    optimizer: Optimizer = "sgd"
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    warmup: float = 0.0
    gradient_clip: float = 10.0
    sharpness: float = 0.0
    ema: float = 0.0
    augment: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "draws"):
            _require(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("alpha", "eta_ramp", "warmup", "batchnorm_freeze"):
            _require(name, getattr(self, name), 0 <= getattr(self, name) <= 1, "from 0 to 1")
        for name in ("label_smoothing", "momentum", "ema"):
            _require(name, getattr(self, name), 0 <= getattr(self, name) < 1, ">= 0 and < 1")
        for name in ("temperature", "lr", "eta_factor"):
            _require(name, getattr(self, name), 0 < getattr(self, name) < float("inf"), "a finite number > 0")
        for name in ("features", "eta_spread", "clip", "clip_start", "weight_decay", "gradient_clip", "sharpness"):
            _require(name, getattr(self, name), 0 <= getattr(self, name) < float("inf"), "a finite number >= 0")
        for name, choices in _CHOICES.items():
            _require(name, getattr(self, name), getattr(self, name) in choices, f"one of {', '.join(choices)}")
        _require("draws", self.draws, not self.antithetic or self.draws % 2 == 0, "even with antithetic draws")
        _require("clip_start", self.clip_start, not self.clip_start or self.clip > 0, "0 without clip")

    def replace(self, **changes: Any) -> Self:
        """The recipe with other values, converted from what TOML and the command line have.

        Raises:
            UsageError: there is no such setting, or the value is not of its type or out of range.
        """
        known = {field.name: type(getattr(self, field.name)) for field in dataclasses.fields(self)}
        for name, value in changes.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
                raise UsageError(f"a recipe has no setting {name!r}", hint=hint)
            changes[name] = _as(known[name], name, value)
        return dataclasses.replace(self, **changes)


_CHOICES: dict[str, tuple[str, ...]] = {
    "eta_schedule": get_args(EtaSchedule),
    "clip_per": get_args(ClipPer),
    "batchnorm": get_args(BatchNormMode),
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
}


def shipped() -> dict[str, str]:
    """Name -> what it is, of the recipes that come with nmtool: the first comment line of each file."""
    texts = {Path(file.name).stem: file.read_text() for file in files(__name__).iterdir() if file.name.endswith("toml")}
    return {name: text.splitlines()[0].lstrip("# ") for name, text in sorted(texts.items())}


def load(recipe: "str | os.PathLike[str] | Recipe") -> Recipe:
    """A recipe by name, or from a TOML file.

    Raises:
        UsageError: there is neither, the file cannot be read, or a setting in it is unknown or out of range.
    """
    if isinstance(recipe, Recipe):
        return recipe
    try:
        settings = tomllib.loads(text(recipe))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"cannot read recipe {recipe}: {error}") from error
    try:
        return Recipe().replace(**settings)
    except UsageError as error:
        raise UsageError(f"in recipe {recipe}: {error.message}", hint=error.hint) from error


def text(recipe: str | os.PathLike[str]) -> str:
    """The TOML of a recipe by name, or of a file.

    Raises:
        UsageError: there is neither, or the file cannot be read.
    """
    if str(recipe) in shipped():
        return (files(__name__) / f"{recipe}.toml").read_text()
    path = Path(recipe)
    if not path.is_file():
        raise UsageError(f"no recipe is named {str(recipe)!r}", hint=f"choose {', '.join(shipped())} or a TOML file")
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read recipe {path}: {error}") from error


def _as(kind: type, name: str, value: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is tuple and isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UsageError(f"{name} must be of type {kind.__name__}, not: {value!r}")
    return value


def _require(name: str, value: Any, fulfilled: bool, wanted: str) -> None:
    if not fulfilled:
        raise UsageError(f"{name} must be {wanted}, not {value}")
