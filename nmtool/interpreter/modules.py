"""Parts of a converted model that are modules: because something is attached to them, or they follow train and eval."""

from typing import Any

import torch
from torch import Tensor, fx, nn


class Tap(nn.Module):
    """A point that the weights of an analog operator pass on their way to it; the identity.

    Analog noise enters a converted model here and nowhere else: replace taps by modules that perturb.

    Attributes:
        array: name of the ONNX array that the weights are, as noise passes name it.
        op_type: the operator they go to.
        node: its label.
    """

    def __init__(self, array: str, op_type: str, node: str) -> None:
        super().__init__()
        self.array, self.op_type, self.node = array, op_type, node

    def forward(self, weight: Tensor) -> Tensor:
        """The weight as it is."""
        return weight


class If(nn.Module):
    """Two branches, of which the condition chooses one whenever the module is called."""

    def __init__(self, then_branch: fx.GraphModule, else_branch: fx.GraphModule) -> None:
        super().__init__()
        self.then_branch, self.else_branch = then_branch, else_branch

    def forward(self, condition: Any, *captured: Any) -> Any:
        """Run the chosen branch on the values that the branches take from outside."""
        chosen = condition.item() if isinstance(condition, Tensor) else condition
        if isinstance(chosen, list):
            (chosen,) = chosen
        return self.then_branch(*captured) if chosen else self.else_branch(*captured)


def taps(module: torch.nn.Module) -> dict[str, Tap]:
    """Path -> tap of all taps of a converted model."""
    return {path: part for path, part in module.named_modules() if isinstance(part, Tap)}
