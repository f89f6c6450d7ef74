"""What the engine cannot do, said before training starts."""

import re
from collections.abc import Iterator

from nmtool.engines import installation
from nmtool.errors import ModelError, UsageError
from nmtool.hardware import AnalogNoise
from nmtool.recipes import Recipe
from nmtool.training.process import Process
from nmtool.training.student import Placement

ENGINE = "ort-training"
"""Its name in nmtool.engines."""
_NOISE = ("gaussian", "lognormal")


def require(
    recipe: Recipe, noise: AnalogNoise, placement: Placement, process: Process, *, amp: bool, compiled: bool
) -> None:
    """Refuse settings that the engine would not honour.

    Raises:
        UsageError: naming the setting, and what to do.
        SetupError: the engine is not installed.
    """
    for problem, remedy in _problems(recipe, noise, placement, process, amp, compiled):
        raise UsageError(f"the engine ort has {problem}", hint=f"{remedy}, or use --engine torch")
    installation(ENGINE)


def _problems(
    recipe: Recipe, noise: AnalogNoise, placement: Placement, process: Process, amp: bool, compiled: bool
) -> Iterator[tuple[str, str]]:
    if process.device.type != "cpu":
        yield "no GPU", "use --device cpu"
    if process.count > 1:
        yield "one process only", "leave out torchrun, --accumulate makes batches larger"
    if amp:
        yield "no mixed precision", "leave out --amp"
    if compiled:
        yield "nothing for torch to compile", "leave out --compile"
    if noise.name not in _NOISE:
        yield f"the noise models {' and '.join(_NOISE)} only, not {noise.name}", "choose one of them"
    if placement.dynamic:
        yield "no noise on activations: it sizes the noise by the weights", "leave out --dynamic"
    if recipe.optimizer == "sgd" and recipe.momentum:
        yield "sgd without momentum only", "use --optimizer adamw with an lr near 0.001, or --momentum 0"
    if recipe.weight_decay:
        yield "one weight decay for all arrays, biases too, where recipes spare these", "set --weight-decay 0"
    if recipe.sharpness:
        yield "no sharpness-aware steps", "set --sharpness 0"
    if recipe.features:
        yield "no matching of features", "set --features 0"


_NO_GRADIENT = re.compile(r"gradient builder has not been registered: (\w+) for node (.*)")
_NO_KERNEL = re.compile(r"Could not find an implementation for (\w+)\(\d+\) node with name '([^']*)'")


def unbuildable(message: str) -> ModelError:
    """What the engine says when it cannot build the gradient, in short.

    Args:
        message: of onnxruntime-training: a C++ location, a signature, and the reason at the end.
    """
    hint = "use --engine torch"
    if (match := _NO_GRADIENT.search(message)) is not None:
        operator, node = match[1], match[2].strip()
        return ModelError(f"the engine ort has no gradient for {operator}: node {node!r}", hint=hint)
    if (match := _NO_KERNEL.search(message)) is not None:
        return ModelError(f"the engine ort cannot run {match[1]}: node {match[2]!r}", hint=hint)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return ModelError(f"the engine ort cannot build the gradient: {lines[-1][-300:]}", hint=hint)
